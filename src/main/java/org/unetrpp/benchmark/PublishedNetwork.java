package org.unetrpp.benchmark;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.unetrpp.model.Architecture;

/**
 * A published network as its recipe trains it, and what its authors claim of it.
 *
 * @param name as in {@link Architecture#published}
 * @param batchSize patches of a training step
 * @param claims empty where none were published
 */
public record PublishedNetwork(
    String name, Architecture architecture, int batchSize, Optional<Claims> claims) {
  /**
   * Figures that the authors published.
   *
   * @param parameters trained values, in millions
   * @param multiplyAdds of one patch, which the authors call FLOPs, in thousand millions
   * @param gigabytes of memory
   * @param gpuMilliseconds of one patch on a GPU
   * @param cpuMilliseconds of one patch on a CPU
   * @param source where the figures stand
   * @param remarks what the source leaves open
   */
  public record Claims(
      double parameters,
      double multiplyAdds,
      OptionalDouble gigabytes,
      OptionalDouble gpuMilliseconds,
      OptionalDouble cpuMilliseconds,
      String source,
      Optional<String> remarks) {}

  private static final Map<String, Integer> BATCH_SIZES =
      Map.of("synapse", 2, "btcv", 2, "acdc", 4, "lung", 2, "tumor", 2);

  private static final Map<String, Claims> CLAIMS =
      Map.of(
          "synapse",
          new Claims(
              42.96,
              47.98,
              OptionalDouble.empty(),
              OptionalDouble.empty(),
              OptionalDouble.empty(),
              "Shaker et al., results on Synapse, as the published repository shows them",
              Optional.empty()),
          "tumor",
          new Claims(
              42.6,
              70.1,
              OptionalDouble.of(2.4),
              OptionalDouble.of(62.4),
              OptionalDouble.of(1497.7),
              "Shaker et al., results on BraTS, as the project's web site shows them",
              Optional.of(
                  "the site gives memory and times without units, read here as GB and ms, and"
                      + " names no devices")));

  /** The published network of a name; empty if there is none. */
  public static Optional<PublishedNetwork> of(String name) {
    return Architecture.published(name)
        .map(architecture ->
            new PublishedNetwork(
                name,
                architecture,
                BATCH_SIZES.getOrDefault(name, 2),
                Optional.ofNullable(CLAIMS.get(name))));
  }

  /** The names of {@link #of}, in alphabetical order. */
  public static List<String> names() {
    return Architecture.publishedNames();
  }
}
