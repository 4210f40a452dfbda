package org.unetrpp.bench.peers;

import java.util.Arrays;
import java.util.Locale;
import java.util.Map;

/** The contestants that there are. */
enum ContestantKind {
  /** This project. */
  ENGINE,
  /** ONNX Runtime with its arena and all optimizations. */
  ONNXRUNTIME,
  /** PyTorch as Maven Central has it. */
  TORCH,
  /**
   * PyTorch with a malloc that keeps freed memory, which spares it the page faults of each pass.
   */
  TORCH_TUNED;

  /** One arena that grows in place, no mappings of single blocks, nothing given back. */
  private static final Map<String, String> KEEPING_MALLOC =
      Map.of(
          "MALLOC_ARENA_MAX", "1",
          "MALLOC_MMAP_MAX_", "0",
          "MALLOC_TRIM_THRESHOLD_", "17179869184");

  /**
   * The contestant named {@code label}.
   *
   * @throws IllegalArgumentException if there is none
   */
  static ContestantKind of(String label) {
    return Arrays.stream(values())
        .filter(kind -> kind.label().equals(label))
        .findFirst()
        .orElseThrow(() ->
            new IllegalArgumentException(
                "contestant is %s, expected one of %s"
                    .formatted(
                        label, Arrays.stream(values()).map(ContestantKind::label).toList())));
  }

  /** The name on the command line and in records. */
  String label() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /** Environment variables of the contestant's process. */
  Map<String, String> environment() {
    return switch (this) {
      case ENGINE, ONNXRUNTIME, TORCH -> Map.of();
      case TORCH_TUNED -> KEEPING_MALLOC;
    };
  }

  Contestant open(Setup setup) {
    return switch (this) {
      case ENGINE -> EngineContestant.open(setup);
      case ONNXRUNTIME -> OnnxRuntimeContestant.open(setup);
      case TORCH, TORCH_TUNED -> TorchContestant.open(setup);
    };
  }
}
