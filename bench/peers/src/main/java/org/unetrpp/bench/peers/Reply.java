package org.unetrpp.bench.peers;

/** What a contestant's process answers, one line of JSON each. */
sealed interface Reply {
  /**
   * The contestant is open.
   *
   * @param version what computes
   * @param peakResidentBytes largest resident memory while opening
   */
  record Opened(String version, long peakResidentBytes) implements Reply {}

  /**
   * One pass was made.
   *
   * @param seconds wall-clock time of the pass
   */
  record Passed(double seconds) implements Reply {}

  /**
   * What the contestant computes was compared.
   *
   * @param deviation how far it is from what is expected
   */
  record Compared(NpyFile.Deviation deviation) implements Reply {}

  /**
   * The contestant is closing.
   *
   * @param peakResidentBytes largest resident memory since it was open
   */
  record Closed(long peakResidentBytes) implements Reply {}
}
