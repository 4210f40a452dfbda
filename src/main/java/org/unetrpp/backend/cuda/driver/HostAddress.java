package org.unetrpp.backend.cuda.driver;

import java.lang.foreign.MemorySegment;
import jcuda.Pointer;

/** An address of host memory outside of Java's heap as JCuda takes and gives it. */
final class HostAddress extends Pointer {
  /** An address that is still to be given. */
  HostAddress() {}

  private HostAddress(long address) {
    super(address);
  }

  /**
   * Where a segment begins.
   *
   * @throws IllegalArgumentException if the segment is of Java's heap
   */
  static HostAddress of(MemorySegment segment) {
    if (!segment.isNative()) {
      throw new IllegalArgumentException(
          "memory of Java's heap, expected native memory: " + segment);
    }
    return new HostAddress(segment.address());
  }

  long value() {
    return getNativePointer() + getByteOffset();
  }
}
