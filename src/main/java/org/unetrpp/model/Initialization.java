package org.unetrpp.model;

import java.util.Arrays;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.apache.commons.math3.distribution.NormalDistribution;
import org.apache.commons.math3.distribution.RealDistribution;
import org.apache.commons.math3.distribution.UniformRealDistribution;
import org.apache.commons.math3.random.RandomGenerator;
import org.apache.commons.math3.random.Well19937c;
import org.unetrpp.backend.Backend;
import org.unetrpp.nn.Parameters;

/**
 * Values of a network before training. Convolutions and the decoder's linear layers are uniform
 * within {@code 1 / sqrt(fan-in)} (He et al. 2015 with a slope of sqrt 5); the encoder's linear
 * layers are normal with standard deviation 0.02 and zero bias; norms start as the identity,
 * positions at 0, the attention's scale gamma at 1e-6.
 */
public final class Initialization {
  private static final double ENCODER_DEVIATION = 0.02;
  private static final double ENCODER_CUT = 2;
  private static final float GAMMA = 1e-6f;

  private Initialization() {}

  /** Parameters that depend on the architecture and the seed alone. */
  public static Parameters parameters(Backend backend, Architecture architecture, long seed) {
    Map<String, StateEntry> layout = byName(architecture);
    return NetworkState.load(backend, architecture, true, entry -> values(entry, layout, seed));
  }

  /**
   * The values of one tensor of {@link #parameters}.
   *
   * @throws IllegalArgumentException if the architecture has no such tensor, or it is a counter
   */
  public static float[] values(Architecture architecture, String name, long seed) {
    Map<String, StateEntry> layout = byName(architecture);
    StateEntry entry = layout.get(name);
    if (entry == null) {
      throw new IllegalArgumentException("no parameter is named " + name);
    }
    return values(entry, layout, seed);
  }

  private static Map<String, StateEntry> byName(Architecture architecture) {
    return StateLayout.of(architecture).stream()
        .collect(Collectors.toMap(StateEntry::name, Function.identity()));
  }

  /** The values of one tensor, drawn from a stream of its own. */
  private static float[] values(StateEntry entry, Map<String, StateEntry> layout, long seed) {
    int elements = Math.toIntExact(entry.elements());
    String name = entry.name();
    String kind = name.substring(name.lastIndexOf('.') + 1);
    return switch (kind) {
      case "pos_embed", "running_mean" -> new float[elements];
      case "running_var", "temperature", "temperature2" -> constant(elements, 1);
      case "gamma" -> constant(elements, GAMMA);
      case "weight", "bias", "EF" -> layer(entry, layout, elements, seed);
      default -> throw new IllegalArgumentException("no rule to initialize " + name);
    };
  }

  private static float[] layer(
      StateEntry entry, Map<String, StateEntry> layout, int elements, long seed) {
    String name = entry.name();
    boolean isBias = name.endsWith(".bias");
    if (isNorm(name)) {
      return constant(elements, isBias ? 0 : 1);
    }
    if (isEncoderLinear(name)) {
      return isBias ? new float[elements] : truncatedNormal(name, elements, seed);
    }
    double bound = 1 / Math.sqrt(fanIn(entry, layout));
    RandomGenerator generator = generator(name, seed);
    return sample(new UniformRealDistribution(generator, -bound, bound), elements);
  }

  private static boolean isNorm(String name) {
    return name.matches(".*\\.(norm\\d?|downsample_layers\\.\\d\\.1)\\.(weight|bias)");
  }

  private static boolean isEncoderLinear(String name) {
    return name.startsWith("unetr_pp_encoder.")
        && name.matches(".*\\.epa_block\\.(qkvv|E|F|out_proj2?)\\.(weight|bias)");
  }

  /**
   * The product of all axes of the layer's weight but the first: the values read for one output,
   * except for transposed convolutions, where the published code counts so all the same.
   */
  private static double fanIn(StateEntry entry, Map<String, StateEntry> layout) {
    StateEntry weight =
        layout.getOrDefault(entry.name().replaceFirst("\\.bias$", ".weight"), entry);
    return (double) weight.elements() / weight.shape().getFirst();
  }

  private static float[] truncatedNormal(String name, int elements, long seed) {
    NormalDistribution normal = new NormalDistribution(generator(name, seed), 0, ENCODER_DEVIATION);
    float[] values = new float[elements];
    for (int i = 0; i < elements; i++) {
      double value = normal.sample();
      while (Math.abs(value) > ENCODER_CUT) {
        value = normal.sample();
      }
      values[i] = (float) value;
    }
    return values;
  }

  private static float[] sample(RealDistribution distribution, int elements) {
    float[] values = new float[elements];
    for (int i = 0; i < elements; i++) {
      values[i] = (float) distribution.sample();
    }
    return values;
  }

  private static float[] constant(int elements, float value) {
    float[] values = new float[elements];
    Arrays.fill(values, value);
    return values;
  }

  private static RandomGenerator generator(String name, long seed) {
    return new Well19937c(31 * seed + name.hashCode());
  }
}
