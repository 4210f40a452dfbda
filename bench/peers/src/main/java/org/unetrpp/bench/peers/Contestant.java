package org.unetrpp.bench.peers;

import java.lang.foreign.MemorySegment;

/** A network that is ready to compute the logits of the one input it was opened with. */
interface Contestant extends AutoCloseable {
  /** The version of what computes, such as a library's. */
  String version();

  /** Computes the logits; this call is what is timed. */
  void forward();

  /**
   * The logits of the last {@link #forward}: (K, D, H, W), row-major, float32 in native byte order.
   *
   * @throws IllegalStateException before the first pass
   */
  MemorySegment logits();

  /** Releases what the contestant holds. */
  @Override
  void close();
}
