package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.unetrpp.backend.reference.ReferenceBackend;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.MemoryScope;

/** The same values on an emulated device and in the reference, and what kernels made of them. */
final class DeviceValues implements AutoCloseable {
  /** Some roundings of float32, 6e-8 each, on average over many values. */
  private static final double FLOAT_TOLERANCE = 2e-6;

  /** One rounding to 8 bits: 4e-3 at most. */
  private static final double BFLOAT16_TOLERANCE = 4e-3;

  private static final float SENTINEL = 77;
  private static final int BEFORE = 1;
  private static final int BEHIND = 2;

  private final CudaBackend backend;
  private final ReferenceBackend reference = new ReferenceBackend();
  private final MemoryScope deviceScope;
  private final MemoryScope referenceScope;
  private final boolean shifted;
  private final Random random = new Random(5);
  private final List<Buffer> surroundings = new ArrayList<>();

  /**
   * Values of one test.
   *
   * @param shifted whether activations lie one element behind an aligned address
   */
  @SuppressWarnings("MustBeClosedChecker") // close does
  DeviceValues(DType type, boolean shifted) {
    this.shifted = shifted;
    backend = EmulatedCuda.open(type);
    deviceScope = backend.scopes().open();
    referenceScope = reference.scopes().open();
  }

  /** One array on both sides. */
  record Pair(Buffer device, Buffer exact) {}

  CudaBackend backend() {
    return backend;
  }

  ReferenceBackend reference() {
    return reference;
  }

  /** Random values that the type of activations has. */
  Pair activation(long count) {
    return activation(normal(count));
  }

  /** These values, rounded to the type of activations. */
  Pair activation(float[] values) {
    float[] rounded = values.clone();
    if (backend.computeType() == DType.BFLOAT16) {
      for (int i = 0; i < rounded.length; i++) {
        rounded[i] = BFloat16.toFloat(BFloat16.fromFloat(rounded[i]));
      }
    }
    Pair pair = result(rounded.length);
    backend.upload(rounded, pair.device);
    reference.upload(rounded, pair.exact);
    return pair;
  }

  /** Random values in float32. */
  Pair parameter(long count) {
    return parameter(normal(count));
  }

  Pair parameter(float[] values) {
    Pair pair =
        new Pair(
            backend.scopes().allocate(DType.FLOAT32, values.length),
            reference.scopes().allocate(DType.FLOAT64, values.length));
    backend.upload(values, pair.device);
    reference.upload(values, pair.exact);
    return pair;
  }

  /** Room for activations, full of NaN on the device. */
  Pair result(long count) {
    DType type = backend.computeType();
    Buffer exact = reference.scopes().allocate(DType.FLOAT64, count);
    if (!shifted) {
      return new Pair(backend.scopes().allocate(type, count), exact);
    }
    Buffer whole = backend.scopes().allocate(type, BEFORE + count + BEHIND);
    float[] values = new float[Math.toIntExact(whole.elements())];
    Arrays.fill(values, Float.NaN);
    values[0] = SENTINEL;
    Arrays.fill(values, values.length - BEHIND, values.length, SENTINEL);
    backend.upload(values, whole);
    surroundings.add(whole);
    return new Pair(whole.slice(BEFORE, count), exact);
  }

  float[] normal(long count) {
    float[] values = new float[Math.toIntExact(count)];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  /** Fails where the device is further from the reference than the rounding of its type. */
  void compare(String what, Pair result) {
    compare(
        what,
        result,
        result.device.dtype() == DType.BFLOAT16 ? BFLOAT16_TOLERANCE : FLOAT_TOLERANCE);
  }

  void compare(String what, Pair result, double tolerance) {
    double[] actual = backend.downloadDouble(result.device);
    double[] expected = reference.downloadDouble(result.exact);
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
      norm += expected[i] * expected[i];
    }
    assertThat(Math.sqrt(difference)).as(what).isLessThanOrEqualTo(tolerance * Math.sqrt(norm));
    for (Buffer whole : surroundings) {
      float[] around = backend.download(whole);
      assertThat(around[0]).as("value before a buffer").isEqualTo(SENTINEL);
      for (int i = around.length - BEHIND; i < around.length; i++) {
        assertThat(around[i]).as("value behind a buffer").isEqualTo(SENTINEL);
      }
    }
  }

  @Override
  public void close() {
    referenceScope.close();
    deviceScope.close();
    assertThat(backend.allocator().bytesInUse()).isZero();
    backend.close();
    reference.close();
  }
}
