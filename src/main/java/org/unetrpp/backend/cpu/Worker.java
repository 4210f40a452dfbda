package org.unetrpp.backend.cpu;

import org.unetrpp.memory.HostAllocator;

/** What one thread of the pool has for itself: a oneDNN stream and scratch memory that grows. */
final class Worker implements AutoCloseable {
  /** Values of one tile of an element-wise pass; two such arrays stay in the first-level cache. */
  static final int TILE = 4096;

  private static final int ARRAYS = 8;

  private final int index;
  private final OneDnn oneDnn;
  private final long stream;
  private final float[][] arrays = new float[ARRAYS][TILE];
  private final DropoutFactors dropoutFactors = new DropoutFactors();
  private double[] doubles = new double[TILE];
  private final Scratch scratch;
  private final Scratch results;
  private final Scratch machineScratch;
  private final Scratch scratchpad;

  Worker(int index, OneDnn oneDnn, HostAllocator memory) {
    this.index = index;
    this.oneDnn = oneDnn;
    scratch = new Scratch(memory);
    results = new Scratch(memory);
    machineScratch = new Scratch(memory);
    scratchpad = new Scratch(memory);
    stream = oneDnn.createStream();
  }

  /** Position in the pool, from 0. */
  int index() {
    return index;
  }

  long stream() {
    return stream;
  }

  /** Array {@code slot}, of at least {@code length} values of any content. */
  float[] array(int slot, int length) {
    if (arrays[slot].length < length) {
      arrays[slot] = new float[length];
    }
    return arrays[slot];
  }

  DropoutFactors dropoutFactors() {
    return dropoutFactors;
  }

  /** An array of at least {@code length} doubles of any content. */
  double[] doubles(int length) {
    if (doubles.length < length) {
      doubles = new double[length];
    }
    return doubles;
  }

  /** Address of native memory for {@code elements} floats, which the next call may move. */
  long scratch(long elements) {
    return scratch.reserve(elements * Float.BYTES);
  }

  /** Address of native memory for {@code elements} results that are used at once. */
  long results(long elements) {
    return results.reserve(elements * Float.BYTES);
  }

  /** Address of native memory for machine code. */
  long machineScratch(long bytes) {
    return machineScratch.reserve(bytes);
  }

  /** Address of native memory for a primitive's own use. */
  long scratchpad(long bytes) {
    return scratchpad.reserve(bytes);
  }

  @Override
  public void close() {
    scratch.close();
    results.close();
    machineScratch.close();
    scratchpad.close();
    oneDnn.destroyStream(stream);
  }
}
