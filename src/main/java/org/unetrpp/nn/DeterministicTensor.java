package org.unetrpp.nn;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
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
    return Distribution.ofState(name, shape).values(name, Math.toIntExact(elements(shape)));
  }

  /** The same values in memory of {@code memory}. */
  public static MemorySegment ofState(String name, List<Integer> shape, SegmentAllocator memory) {
    Distribution distribution = Distribution.ofState(name, shape);
    long hash = hash(name);
    long elements = elements(shape);
    MemorySegment values = memory.allocate(JAVA_FLOAT, elements);
    for (long i = 0; i < elements; i++) {
      values.setAtIndex(JAVA_FLOAT, i, distribution.value(hash, i));
    }
    return values;
  }

  private static long elements(List<Integer> shape) {
    return shape.stream().mapToLong(Integer::longValue).reduce(1, Math::multiplyExact);
  }

  /** Values spread evenly over {@code center - spread} to {@code center + spread}. */
  private record Distribution(double center, double spread) {
    static Distribution ofState(String name, List<Integer> shape) {
      String kind = name.substring(name.lastIndexOf('.') + 1);
      return switch (kind) {
        case "num_batches_tracked" -> new Distribution(0, 0);
        case "temperature", "temperature2" -> new Distribution(1, 0.3);
        case "gamma" -> new Distribution(0.5, 0.5);
        case "pos_embed", "running_mean", "bias" -> new Distribution(0, 0.2);
        case "running_var" -> new Distribution(1, 0.5);
        case "EF" -> new Distribution(0, Math.sqrt(3.0 / shape.get(0)));
        default -> ofWeight(name, shape);
      };
    }

    private static Distribution ofWeight(String name, List<Integer> shape) {
      if (shape.size() == 1) {
        return new Distribution(1, 0.2);
      }
      int out = shape.get(0);
      long fanIn = name.contains("transp_conv") ? out : elements(shape) / out;
      return new Distribution(0, Math.sqrt(3.0 / fanIn));
    }

    float[] values(String name, int elements) {
      long hash = hash(name);
      float[] values = new float[elements];
      for (int i = 0; i < elements; i++) {
        values[i] = value(hash, i);
      }
      return values;
    }

    /** The value at position {@code i} of the stream that starts at {@code hash}. */
    float value(long hash, long i) {
      long z = hash + i * GOLDEN_GAMMA + GOLDEN_GAMMA;
      z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
      z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
      double u = ((z ^ (z >>> 31)) >>> 40) * UNIT;
      return (float) (center + spread * (2 * u - 1));
    }
  }

  /** A network's input of mean 0 and variance 1. */
  public static float[] input(String name, int elements) {
    return values(name, elements, 0, Math.sqrt(3));
  }

  /** Values spread evenly over {@code center - spread} to {@code center + spread}. */
  public static float[] values(String name, int elements, double center, double spread) {
    return new Distribution(center, spread).values(name, elements);
  }

  private static long hash(String name) {
    long hash = FNV_OFFSET;
    for (byte b : name.getBytes(StandardCharsets.UTF_8)) {
      hash = (hash ^ (b & 0xff)) * FNV_PRIME;
    }
    return hash;
  }
}
