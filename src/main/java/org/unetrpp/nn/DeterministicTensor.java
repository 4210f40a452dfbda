package org.unetrpp.nn;

import java.nio.charset.StandardCharsets;
import java.util.List;

/// Values that every implementation can make from a tensor's name alone, so that networks can be
/// compared without exchanging files.
///
/// Element i (row-major, in the order of published checkpoints) of the tensor named K is `a + b (2
/// u - 1)` in float32, with u the upper 24 bits of SplitMix64 (Steele et al. 2014) at position i of
/// the stream that starts at the 64-bit FNV-1a hash of K. The center a and the spread b follow from
/// the last part of the name and the shape, such that activations keep their scale.
public final class DeterministicTensor {
  private static final long FNV_OFFSET = 0xcbf29ce484222325L;
  private static final long FNV_PRIME = 0x100000001b3L;
  private static final long GOLDEN_GAMMA = 0x9E3779B97F4A7C15L;
  private static final double UNIT = 0x1p-24;

  private DeterministicTensor() {}

  /**
   * The tensor of a network's state.
   *
   * @param name its name in published checkpoints
   * @param shape its shape there; empty for a counter, which is 0
   */
  public static float[] ofState(String name, List<Integer> shape) {
    int elements =
        Math.toIntExact(
            shape.stream().mapToLong(Integer::longValue).reduce(1, Math::multiplyExact));
    String kind = name.substring(name.lastIndexOf('.') + 1);
    return switch (kind) {
      case "num_batches_tracked" -> new float[elements];
      case "temperature", "temperature2" -> values(name, elements, 1, 0.3);
      case "gamma" -> values(name, elements, 0.5, 0.5);
      case "pos_embed", "running_mean", "bias" -> values(name, elements, 0, 0.2);
      case "running_var" -> values(name, elements, 1, 0.5);
      case "EF" -> values(name, elements, 0, Math.sqrt(3.0 / shape.get(0)));
      default -> weight(name, shape, elements);
    };
  }

  private static float[] weight(String name, List<Integer> shape, int elements) {
    if (shape.size() == 1) {
      return values(name, elements, 1, 0.2);
    }
    int out = shape.get(0);
    int fanIn = name.contains("transp_conv") ? out : elements / out;
    return values(name, elements, 0, Math.sqrt(3.0 / fanIn));
  }

  /** A network's input of mean 0 and variance 1. */
  public static float[] input(String name, int elements) {
    return values(name, elements, 0, Math.sqrt(3));
  }

  /** Values spread evenly over {@code center - spread} to {@code center + spread}. */
  public static float[] values(String name, int elements, double center, double spread) {
    long hash = FNV_OFFSET;
    for (byte b : name.getBytes(StandardCharsets.UTF_8)) {
      hash = (hash ^ (b & 0xff)) * FNV_PRIME;
    }
    float[] values = new float[elements];
    for (int i = 0; i < elements; i++) {
      long z = hash + i * GOLDEN_GAMMA + GOLDEN_GAMMA;
      z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
      z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
      double u = ((z ^ (z >>> 31)) >>> 40) * UNIT;
      values[i] = (float) (center + spread * (2 * u - 1));
    }
    return values;
  }
}
