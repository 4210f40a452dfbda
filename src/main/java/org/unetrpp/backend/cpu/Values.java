package org.unetrpp.backend.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.HostMemory;

/**
 * The floats of a tensor in native memory, moved to and from arrays by the tile: loops over arrays
 * are compiled to vector instructions, loops over native memory are not.
 */
record Values(MemorySegment segment) {
  static Values of(Buffer buffer) {
    return new Values(HostMemory.segment(buffer));
  }

  static Values at(long address, long elements) {
    return new Values(HostMemory.segment(address, elements * Float.BYTES));
  }

  long elements() {
    return segment.byteSize() / Float.BYTES;
  }

  void read(long first, float[] into, int count) {
    MemorySegment.copy(segment, JAVA_FLOAT, first * Float.BYTES, into, 0, count);
  }

  /** Reads the sequence that these values make when they are repeated without end. */
  void readRepeated(long first, float[] into, int count) {
    long from = first % elements();
    int done = 0;
    while (done < count) {
      int run = (int) Math.min(elements() - from, count - done);
      MemorySegment.copy(segment, JAVA_FLOAT, from * Float.BYTES, into, done, run);
      done += run;
      from = 0;
    }
  }

  void write(long first, float[] from, int count) {
    MemorySegment.copy(from, 0, segment, JAVA_FLOAT, first * Float.BYTES, count);
  }

  /** Writes part of an array. */
  void write(long first, float[] from, int at, int count) {
    MemorySegment.copy(from, at, segment, JAVA_FLOAT, first * Float.BYTES, count);
  }

  void copyFrom(Values source, long from, long to, long count) {
    MemorySegment.copy(
        source.segment, from * Float.BYTES, segment, to * Float.BYTES, count * Float.BYTES);
  }

  void clear(long first, long count) {
    segment.asSlice(first * Float.BYTES, count * Float.BYTES).fill((byte) 0);
  }

  float[] toArray() {
    return segment.toArray(JAVA_FLOAT);
  }

  double[] toDoubles() {
    float[] values = toArray();
    double[] doubles = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      doubles[i] = values[i];
    }
    return doubles;
  }
}
