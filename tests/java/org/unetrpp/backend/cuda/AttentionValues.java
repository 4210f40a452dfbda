package org.unetrpp.backend.cuda;

import java.util.Random;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PairedAttentionParameters.Concatenation;
import org.unetrpp.backend.PairedAttentionParameters.Projection;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** Inputs and parameters of attention, the same values for every backend. */
final class AttentionValues {
  /** The forms of attention in the published variants. */
  enum Style {
    SHARED_PROJECTION,
    TWO_PROJECTIONS,
    TOKEN_MAJOR_SUM
  }

  /** Sizes of a box. */
  record Shape(int channels, int heads, int tokens, int projected, Style style, int batch) {
    long elements() {
      return (long) batch * tokens * channels;
    }
  }

  private final Backend backend;
  private final Random random = new Random(5);

  AttentionValues(Backend backend) {
    this.backend = backend;
  }

  /** Multiples of 2^-5 below 4, which every type has. */
  Buffer activations(long elements) {
    float[] values = new float[Math.toIntExact(elements)];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (Math.rint(32 * Math.clamp(random.nextGaussian(), -3.9, 3.9)) / 32);
    }
    return upload(values, backend.computeType());
  }

  Buffer parameters(long elements, double center, double spread) {
    float[] values = new float[Math.toIntExact(elements)];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (center + spread * random.nextGaussian());
    }
    return upload(values, backend.parameterType());
  }

  Buffer upload(float[] values, DType type) {
    Buffer buffer = backend.scopes().allocate(type, values.length);
    backend.upload(values, buffer);
    return buffer;
  }

  PairedAttentionParameters attention(Shape shape) {
    int half = shape.channels() / 2;
    boolean tokenMajor = shape.style() == Style.TOKEN_MAJOR_SUM;
    long weights = (long) shape.projected() * shape.tokens();
    Buffer shared = parameters(weights, 0, 0.1);
    Buffer sharedBias = tokenMajor ? null : parameters(shape.projected(), 0, 0.5);
    Projection keys = new Projection("E", shared, tokenMajor, sharedBias);
    Projection values =
        shape.style() == Style.TWO_PROJECTIONS
            ? new Projection(
                "F", parameters(weights, 0, 0.1), false, parameters(shape.projected(), 0, 0.5))
            : new Projection("F", shared, tokenMajor, sharedBias);
    int channels = shape.channels();
    double spread = 1.2 / Math.sqrt(channels);
    return new PairedAttentionParameters(
        "block",
        channels,
        shape.heads(),
        shape.tokens(),
        shape.projected(),
        parameters((long) shape.tokens() * channels, 0, 0.5),
        parameters(channels, 1, 0.2),
        parameters(channels, 0, 0.2),
        parameters(channels, 0.5, 0.5),
        parameters(shape.heads(), 2, 0.4),
        parameters(shape.heads(), 2, 0.4),
        parameters(4L * channels * channels, 0, spread),
        keys,
        values,
        tokenMajor
            ? null
            : new Concatenation(
                parameters((long) half * channels, 0, spread),
                parameters(half, 0, 0.5),
                parameters((long) half * channels, 0, spread),
                parameters(half, 0, 0.5)));
  }
}
