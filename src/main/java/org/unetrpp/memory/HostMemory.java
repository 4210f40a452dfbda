package org.unetrpp.memory;

import java.lang.foreign.MemorySegment;

/** Turns addresses of host memory back into segments, the only place that does. */
public final class HostMemory {
  private HostMemory() {}

  /** The values of a buffer whose address is a host address. */
  public static MemorySegment segment(Buffer buffer) {
    return segment(buffer.address(), buffer.bytes());
  }

  /** {@code bytes} bytes at a host address; the caller answers for their being allocated. */
  @SuppressWarnings("restricted") // native access is what this method is for
  public static MemorySegment segment(long address, long bytes) {
    return MemorySegment.ofAddress(address).reinterpret(bytes);
  }
}
