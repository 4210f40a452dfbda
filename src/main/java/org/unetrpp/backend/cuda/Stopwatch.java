package org.unetrpp.backend.cuda;

/** Tells how long work takes. */
@FunctionalInterface
interface Stopwatch {
  /**
   * Milliseconds of the device for {@code work}, which has run before. Runs it several times.
   *
   * @param work queues work on the stream
   */
  double millis(Runnable work);
}
