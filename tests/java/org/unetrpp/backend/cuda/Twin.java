package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.errorprone.annotations.MustBeClosed;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.MatrixView;
import org.unetrpp.backend.reference.ReferenceBackend;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.MemoryScope;

/** An emulated device and the reference with the same values, to run the same operation on both. */
final class Twin implements AutoCloseable {
  /** Of float32 results, as the norm of the difference over that of the reference. */
  static final double FLOAT32_TOLERANCE = 2e-6;

  /** Of results rounded to bfloat16, each of them by 2^-9 at most. */
  static final double BFLOAT16_TOLERANCE = 4e-3;

  private final CudaBackend device;
  private final ReferenceBackend reference = new ReferenceBackend();
  private final MemoryScope deviceScope;
  private final MemoryScope referenceScope;
  private final Random random = new Random(23);

  /** With activations of a type, and the order of threads that goes with it. */
  @MustBeClosed
  Twin(DType type) {
    this(type, type == DType.BFLOAT16);
  }

  /**
   * With activations of a type.
   *
   * @param backwards whether an emulated device's threads take turns from the last to the first
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // close closes them
  Twin(DType type, boolean backwards) {
    device = EmulatedCuda.open(type, backwards);
    deviceScope = device.scopes().open();
    referenceScope = reference.scopes().open();
  }

  /** The same values on both. */
  record Pair(Buffer device, Buffer reference) {
    Pair slice(long first, long count) {
      return new Pair(device.slice(first, count), reference.slice(first, count));
    }

    Views view(long offset, int rows, int columns, long rowStride) {
      return new Views(
          new MatrixView(device, offset, rows, columns, rowStride),
          new MatrixView(reference, offset, rows, columns, rowStride));
    }
  }

  /** The same part of the same values. */
  record Views(MatrixView device, MatrixView reference) {}

  CudaBackend device() {
    return device;
  }

  ReferenceBackend reference() {
    return reference;
  }

  DType type() {
    return device.computeType();
  }

  /** Values of the type of activations. */
  Pair pair(float... values) {
    return pair(type(), values);
  }

  /** Values of a type. */
  Pair pair(DType type, float... values) {
    Buffer buffer = device.scopes().allocate(type, values.length);
    device.upload(values, buffer);
    Buffer twin = reference.scopes().allocate(DType.FLOAT64, values.length);
    reference.upload(device.download(buffer), twin); // as they were rounded
    return new Pair(buffer, twin);
  }

  /** Normally distributed values. */
  Pair activations(long count) {
    return pair(values(count, 0, 1));
  }

  /** Normally distributed values. */
  Pair activations(long count, double mean, double deviation) {
    return pair(values(count, mean, deviation));
  }

  /** Normally distributed parameters, float32 whatever the type of activations. */
  Pair parameters(long count) {
    return pair(DType.FLOAT32, values(count, 0, 1));
  }

  /** Parameters above zero. */
  Pair positive(long count) {
    float[] values = values(count, 0, 1);
    for (int i = 0; i < values.length; i++) {
      values[i] = 0.1f + Math.abs(values[i]);
    }
    return pair(DType.FLOAT32, values);
  }

  /** Room for activations, full of NaN on the device. */
  Pair room(long count) {
    return room(type(), count);
  }

  /** Room for values of a type, full of NaN on the device. */
  Pair room(DType type, long count) {
    return new Pair(
        device.scopes().allocate(type, count), reference.scopes().allocate(DType.FLOAT64, count));
  }

  /** Part of the activations, and not where a vector could be loaded. */
  Pair unaligned(long count) {
    return activations(count + 2).slice(1, count);
  }

  float[] values(long count, double mean, double deviation) {
    float[] values = new float[Math.toIntExact(count)];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (mean + deviation * random.nextGaussian());
    }
    return values;
  }

  static @Nullable Buffer device(@Nullable Pair pair) {
    return pair == null ? null : pair.device();
  }

  static @Nullable Buffer reference(@Nullable Pair pair) {
    return pair == null ? null : pair.reference();
  }

  /** Asserts that the device has what the reference has, within the roundings of its type. */
  void assertSame(Pair... pairs) {
    for (Pair pair : pairs) {
      boolean isSingle = pair.device().dtype() == DType.FLOAT32;
      assertSame(isSingle ? FLOAT32_TOLERANCE : BFLOAT16_TOLERANCE, pair);
    }
  }

  void assertSame(double tolerance, Pair pair) {
    assertThat(distance(pair))
        .as("distance of %s from the reference", pair.device())
        .isLessThanOrEqualTo(tolerance);
  }

  /** Norm of the difference over that of the reference. */
  double distance(Pair pair) {
    double[] actual = device.downloadDouble(pair.device());
    double[] expected = reference.downloadDouble(pair.reference());
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
      norm += expected[i] * expected[i];
    }
    return Math.sqrt(difference / norm);
  }

  @Override
  public void close() {
    deviceScope.close();
    referenceScope.close();
    assertThat(device.allocator().bytesInUse()).isZero();
    device.close();
    reference.close();
  }
}
