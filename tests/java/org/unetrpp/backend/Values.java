package org.unetrpp.backend;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.IntToDoubleFunction;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * The same values on any backend, and what primitives made of them. Every second buffer is a part
 * of a larger one, aligned to its element only, between values that nobody may write.
 */
final class Values {
  /** A few roundings of float32, 6e-8 each. */
  private static final double FLOAT_TOLERANCE = 2e-6;

  /** Operands and results rounded to 8 bits: 4e-3 each at most, 1.5e-3 on average. */
  private static final double BFLOAT16_TOLERANCE = 4e-3;

  /** Single values are further off than the average one; both in units of the largest value. */
  private static final double SINGLE = 2;

  private static final int LOW_BITS = 16;
  private static final int BEFORE = 1;
  private static final int BEHIND = 3;

  private final Backend backend;
  private final boolean coarse;
  private final Random random = new Random(17);
  private final List<Result> results = new ArrayList<>();
  private final List<Buffer> surroundings = new ArrayList<>();
  private int allocated;

  /**
   * Values of one run.
   *
   * @param coarse whether activations have the digits of bfloat16 only, on any backend
   */
  Values(Backend backend, boolean coarse) {
    this.backend = backend;
    this.coarse = coarse;
  }

  /** What a value is to a network, which decides its type. */
  enum Role {
    ACTIVATION,
    PARAMETER;

    private DType type(Backend backend) {
      return this == ACTIVATION ? backend.computeType() : backend.parameterType();
    }
  }

  /**
   * Result of a primitive.
   *
   * @param type it was stored in
   * @param growth how many times larger its rounding errors are than those of the values that it is
   *     made of; 0 if it is exact
   */
  record Result(String what, DType type, double growth, double[] values) {
    private double tolerance() {
      return growth * (type == DType.BFLOAT16 ? BFLOAT16_TOLERANCE : FLOAT_TOLERANCE);
    }

    void compare(Result expected, List<String> failures) {
      assertThat(values).as(what).hasSameSizeAs(expected.values);
      double difference = 0;
      double norm = 0;
      double largest = 0;
      int worst = 0;
      double single = 0; // the error of the worst
      for (int i = 0; i < values.length; i++) {
        double exact = expected.values[i];
        double error = Math.abs(values[i] - exact);
        difference += error * error;
        norm += exact * exact;
        largest = Math.max(largest, Math.abs(exact));
        if (!Double.isNaN(single) && !(error <= single)) {
          worst = i;
          single = error;
        }
      }
      double error = Math.sqrt(difference);
      double allowed = tolerance() * Math.sqrt(norm);
      if (!(error <= allowed) || !(single <= SINGLE * tolerance() * largest)) {
        failures.add(
            "%s in %s: relative error %.2e, allowed %.2e; element %d of %d is %s, expected %s"
                .formatted(
                    what,
                    type,
                    error / Math.sqrt(norm),
                    tolerance(),
                    worst,
                    values.length,
                    values[worst],
                    expected.values[worst]));
      }
    }
  }

  /** A buffer of certain values, rounded if they are activations. */
  Buffer of(Role role, float... values) {
    float[] rounded = values.clone();
    if (coarse && role == Role.ACTIVATION) {
      for (int i = 0; i < rounded.length; i++) {
        rounded[i] = toBfloat16(rounded[i]);
      }
    }
    Buffer buffer = allocate(role, rounded.length);
    backend.upload(rounded, buffer);
    return buffer;
  }

  private static float toBfloat16(float value) {
    int bits = Float.floatToRawIntBits(value);
    int half = (1 << (LOW_BITS - 1)) - 1 + ((bits >>> LOW_BITS) & 1);
    return Float.intBitsToFloat((bits + half) >>> LOW_BITS << LOW_BITS);
  }

  private Buffer allocate(Role role, int count) {
    boolean inside = allocated++ % 2 == 1;
    DType type = role.type(backend);
    if (!inside) {
      return backend.scopes().allocate(type, count);
    }
    Buffer all = backend.scopes().allocate(type, BEFORE + count + BEHIND);
    float[] nan = new float[Math.toIntExact(all.elements())];
    Arrays.fill(nan, Float.NaN);
    backend.upload(nan, all);
    surroundings.add(all);
    return all.slice(BEFORE, count);
  }

  /** Checks what lies around the buffers so far that are part of others. */
  void requireNothingWrittenOutside() {
    for (Buffer all : surroundings) {
      double[] values = backend.downloadDouble(all);
      for (int i = 0; i < values.length; i++) {
        if (i < BEFORE || i >= values.length - BEHIND) {
          assertThat(values[i])
              .as("value %d places from the end of a buffer", i - values.length + BEHIND)
              .isNaN();
        }
      }
    }
    surroundings.clear();
  }

  private Buffer each(Role role, long count, IntToDoubleFunction value) {
    float[] values = new float[Math.toIntExact(count)];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) value.applyAsDouble(i);
    }
    return of(role, values);
  }

  /** Standard normal values. */
  Buffer activations(long count) {
    return activations(count, 0, 1);
  }

  /** Normal values. */
  Buffer activations(long count, double mean, double deviation) {
    return each(Role.ACTIVATION, count, _ -> mean + deviation * random.nextGaussian());
  }

  /** Standard normal values. */
  Buffer parameters(long count) {
    return each(Role.PARAMETER, count, _ -> random.nextGaussian());
  }

  /** Normal values. */
  Buffer parameters(long count, double mean, double deviation) {
    return each(Role.PARAMETER, count, _ -> mean + deviation * random.nextGaussian());
  }

  /** Values from 0.5 to 1.5. */
  Buffer positive(Role role, long count) {
    return each(role, count, _ -> 0.5 + random.nextDouble());
  }

  /** Standard normal values. */
  Buffer random(Role role, long count) {
    return role == Role.ACTIVATION ? activations(count) : parameters(count);
  }

  /** Rows of values between 0 and 1 whose sum is 1. */
  Buffer probabilities(int rows, int columns) {
    float[] values = new float[rows * columns];
    for (int row = 0; row < rows; row++) {
      double sum = 0;
      for (int i = row * columns; i < (row + 1) * columns; i++) {
        values[i] = (float) Math.exp(2 * random.nextGaussian());
        sum += values[i];
      }
      for (int i = row * columns; i < (row + 1) * columns; i++) {
        values[i] /= (float) sum;
      }
    }
    return of(Role.ACTIVATION, values);
  }

  /** Numbers of classes. */
  Buffer classes(long count, int classes) {
    return each(Role.ACTIVATION, count, _ -> random.nextInt(classes));
  }

  /** A buffer for a result: what is not written shows. */
  Buffer unwritten(Role role, long count) {
    return each(role, count, _ -> Double.NaN);
  }

  /** A buffer for activations: what is not written shows. */
  Buffer unwritten(long count) {
    return unwritten(Role.ACTIVATION, count);
  }

  /** A matrix inside a wider buffer of standard normal values. */
  MatrixView matrix(Role role, int rows, int columns) {
    Buffer buffer = random(role, 3 + rows * (columns + 2L));
    return new MatrixView(buffer, 3, rows, columns, columns + 2L);
  }

  /** Hands over a result whose rounding errors are those of its values. */
  void result(String what, Buffer buffer) {
    result(what, buffer, 1);
  }

  /**
   * Hands over a result.
   *
   * @param growth of rounding errors, as in {@link Result}
   */
  void result(String what, Buffer buffer, double growth) {
    results.add(new Result(what, buffer.dtype(), growth, backend.downloadDouble(buffer)));
  }

  /** Hands over a result without rounding errors. */
  void exactResult(String what, Buffer buffer) {
    result(what, buffer, 0);
  }

  /** Hands over numbers of float32's precision. */
  void result(String what, double growth, double... values) {
    results.add(new Result(what, DType.FLOAT32, growth, values));
  }

  List<Result> results() {
    return results;
  }
}
