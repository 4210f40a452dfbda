package org.unetrpp.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Random;
import org.unetrpp.backend.Backend;
import org.unetrpp.memory.Buffer;

/** Buffers of random values on a backend, for tests. */
final class Case {
  private final Backend backend;
  private final Random random;

  Case(Backend backend, long seed) {
    this.backend = backend;
    random = new Random(seed);
  }

  /** Values of standard deviation {@code scale}. */
  float[] values(long elements, double scale) {
    float[] values = new float[Math.toIntExact(elements)];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (random.nextGaussian() * scale);
    }
    return values;
  }

  /** Values around {@code center}, for scales and variances. */
  float[] around(double center, long elements) {
    float[] values = values(elements, 0.2 * center);
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) Math.abs(center + values[i]);
    }
    return values;
  }

  Buffer upload(float[] values) {
    Buffer buffer = backend.scopes().allocate(backend.computeType(), values.length);
    backend.upload(values, buffer);
    return buffer;
  }

  Buffer random(long elements, double scale) {
    return upload(values(elements, scale));
  }

  /** A buffer full of NaN: what is not written shows. */
  Buffer poisoned(long elements) {
    float[] values = new float[Math.toIntExact(elements)];
    Arrays.fill(values, Float.NaN);
    return upload(values);
  }

  /**
   * Asserts that values are those expected.
   *
   * @param tolerance largest difference, in units of the largest expected value
   */
  static void assertClose(float[] actual, double[] expected, double tolerance) {
    assertThat(actual).hasSize(expected.length);
    double largest = Arrays.stream(expected).map(Math::abs).max().orElse(0);
    for (int i = 0; i < actual.length; i++) {
      double difference = Math.abs(actual[i] - expected[i]);
      assertThat(difference <= tolerance * Math.max(largest, Float.MIN_NORMAL))
          .as("element %d is %s, expected %s", i, actual[i], expected[i])
          .isTrue();
    }
  }

  static double[] doubles(float[] values) {
    double[] doubles = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      doubles[i] = values[i];
    }
    return doubles;
  }
}
