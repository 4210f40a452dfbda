package org.unetrpp.benchmark;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.jspecify.annotations.Nullable;
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

  /** The published network of a name; empty if there is none. */
  public static Optional<PublishedNetwork> of(String name) {
    return Architecture.published(name)
        .map(architecture ->
            new PublishedNetwork(
                name, architecture, BATCH_SIZES.getOrDefault(name, 2), claims(name)));
  }

  /** What the first table says that gives the size of the network. */
  private static Optional<Claims> claims(String name) {
    return PublishedTable.all().stream()
        .filter(table -> table.variant().equals(name))
        .flatMap(table -> table.own().stream().flatMap(own -> claims(table, own).stream()))
        .findFirst();
  }

  private static Optional<Claims> claims(PublishedTable table, PublishedTable.Result own) {
    Double parameters = own.parameters();
    Double multiplyAdds = own.multiplyAdds();
    return parameters == null || multiplyAdds == null
        ? Optional.empty()
        : Optional.of(
            new Claims(
                parameters,
                multiplyAdds,
                optional(own.gigabytes()),
                optional(own.gpuMilliseconds()),
                optional(own.cpuMilliseconds()),
                table.source(),
                Optional.ofNullable(table.remarks())));
  }

  private static OptionalDouble optional(@Nullable Double value) {
    return value == null ? OptionalDouble.empty() : OptionalDouble.of(value);
  }

  /** The names of {@link #of}, in alphabetical order. */
  public static List<String> names() {
    return Architecture.publishedNames();
  }
}
