package org.unetrpp.bench;

import java.util.List;
import org.unetrpp.benchmark.PublishedNetwork;
import org.unetrpp.grid.Extents;
import org.unetrpp.model.Architecture;

/** The networks that benchmarks know by name. */
public final class BenchmarkNetwork {
  private static final String TINY = "tiny-";

  private BenchmarkNetwork() {}

  /**
   * A published network, such as {@code synapse}, or {@code tiny-synapse}: the same with a quarter
   * of the channels, fewer blocks and the smallest patch, for checks of the benchmarks themselves.
   *
   * @throws IllegalArgumentException if there is none of that name
   */
  public static Architecture of(String name) {
    return name.startsWith(TINY)
        ? tiny(smallestPatch(published(name.substring(TINY.length())).architecture()))
        : published(name).architecture();
  }

  /** Patches of a training step as published. */
  public static int batchSize(String name) {
    return published(name.startsWith(TINY) ? name.substring(TINY.length()) : name).batchSize();
  }

  /** A network with a quarter of the channels and fewer blocks. */
  public static Architecture tiny(Architecture of) {
    return smaller(of, 4, List.of(1, 2, 1, 1));
  }

  /** A network with all of its channels and one block in each stage. */
  public static Architecture shallow(Architecture of) {
    return smaller(of, 1, List.of(1, 1, 1, 1));
  }

  private static Architecture smaller(Architecture of, int divisor, List<Integer> encoderDepths) {
    return new Architecture(
        of.inputChannels(),
        of.classes(),
        of.patch(),
        of.stem(),
        of.downsampling(),
        of.widths().stream().map(width -> width / divisor).toList(),
        encoderDepths,
        1,
        of.projections(),
        of.decoderProjection(),
        of.featureSize() / divisor,
        of.heads(),
        of.tokenProjection(),
        of.fusion(),
        of.residualConvolutions(),
        of.attentionDropout(),
        of.channelDropout());
  }

  private static PublishedNetwork published(String name) {
    return PublishedNetwork.of(name)
        .orElseThrow(() ->
            new IllegalArgumentException(
                "network is %s, expected one of %s, or %s before one"
                    .formatted(name, PublishedNetwork.names(), TINY)));
  }

  /** One token is left at the end of the encoder. */
  private static Architecture smallestPatch(Architecture of) {
    Extents strides = of.stem();
    for (Extents stride : of.downsampling()) {
      strides = strides.times(stride);
    }
    return of.withPatch(strides);
  }
}
