package org.unetrpp.bench.peers;

import java.util.List;
import java.util.Locale;
import org.unetrpp.benchmark.PublishedNetwork;

/** What is compared. */
enum What {
  /** A forward pass of one patch. */
  FORWARD,
  /** A training step with the published batch: forward, loss, backward, clipping, SGD. */
  TRAINING;

  /**
   * What {@code label} names: one of the values, or {@code all}.
   *
   * @throws IllegalArgumentException if it is neither
   */
  static List<What> of(String label) {
    return switch (label) {
      case "forward" -> List.of(FORWARD);
      case "training" -> List.of(TRAINING);
      case "all" -> List.of(values());
      default ->
          throw new IllegalArgumentException(
              "--what is %s, expected forward, training or all".formatted(label));
    };
  }

  /** The name on the command line and in records. */
  String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Patches of one pass of a published network. */
  int batchSize(String variant) {
    return switch (this) {
      case FORWARD -> 1;
      case TRAINING -> PublishedNetwork.of(variant).orElseThrow().batchSize();
    };
  }

  /** What is timed, for people. */
  String text(int batch) {
    return switch (this) {
      case FORWARD -> "forward pass of one patch";
      case TRAINING -> "training step with a batch of " + batch;
    };
  }
}
