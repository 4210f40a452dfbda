package org.unetrpp.bench.peers;

/** A network that is ready to do the same again and again. */
interface Contestant extends AutoCloseable {
  /** The version of what computes, such as a library's. */
  String version();

  /** One forward pass or training step; this call is what is timed. */
  void pass();

  /**
   * How far what it computes is from what is expected.
   *
   * @throws IllegalStateException before the first pass
   */
  NpyFile.Deviation deviation();

  /** Releases what the contestant holds. */
  @Override
  void close();
}
