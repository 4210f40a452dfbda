package org.unetrpp.memory;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import java.lang.foreign.MemorySegment;

/** Turns addresses of host memory back into segments, the only place that does. */
public final class HostMemory {
  /** All memory: a view of a part of it costs an object, which inner loops go without. */
  private static final MemorySegment ALL = segment(0, Long.MAX_VALUE);

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

  /** Reads {@code count} floats at a host address; the caller answers for their being there. */
  public static void read(long address, float[] into, int count) {
    MemorySegment.copy(ALL, JAVA_FLOAT_UNALIGNED, address, into, 0, count);
  }

  /** Writes {@code count} floats of an array, from {@code first} on, to a host address. */
  public static void write(float[] from, int first, long address, int count) {
    MemorySegment.copy(from, first, ALL, JAVA_FLOAT_UNALIGNED, address, count);
  }

  /** Copies bytes between host addresses. */
  public static void copy(long from, long to, long bytes) {
    MemorySegment.copy(ALL, from, ALL, to, bytes);
  }
}
