package org.unetrpp.bench.peers;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The contestants that there are. */
enum ContestantKind {
  /** This project. */
  ENGINE,
  /** This project without machine code of its own: convolutions by oneDNN alone. */
  ENGINE_ONEDNN,
  /** The same on a processor without AVX-512, as oneDNN and the JVM are made to believe. */
  ENGINE_AVX2,
  /** ONNX Runtime with its arena and all optimizations. */
  ONNXRUNTIME,
  /** PyTorch as Maven Central has it, through DJL. */
  TORCH,
  /**
   * The same with a malloc that keeps freed memory, which spares it the page faults of each pass.
   */
  TORCH_TUNED,
  /** PyTorch of a Python on this machine, such as Debian's. */
  PYTORCH,
  /** The same with a malloc that keeps freed memory. */
  PYTORCH_TUNED;

  /** One arena that grows in place, no mappings of single blocks, nothing given back. */
  private static final Map<String, String> KEEPING_MALLOC =
      Map.of(
          "MALLOC_ARENA_MAX", "1",
          "MALLOC_MMAP_MAX_", "0",
          "MALLOC_TRIM_THRESHOLD_", "17179869184");

  private static final String WITHOUT_OWN_CODE = "-Dunetrpp.cpu.kernels=onednn";

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

  /** The contestants of a comparison for which none are named. */
  static List<ContestantKind> usual(What what) {
    return switch (what) {
      case FORWARD -> List.of(ENGINE, ONNXRUNTIME, TORCH, TORCH_TUNED, PYTORCH);
      case TRAINING -> List.of(ENGINE, PYTORCH, PYTORCH_TUNED);
    };
  }

  /** The name on the command line and in records. */
  String label() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /** Whether it is this project, in whatever setting. */
  boolean isEngine() {
    return switch (this) {
      case ENGINE, ENGINE_ONEDNN, ENGINE_AVX2 -> true;
      case ONNXRUNTIME, TORCH, TORCH_TUNED, PYTORCH, PYTORCH_TUNED -> false;
    };
  }

  /** Whether its process is one of Python. */
  boolean isPython() {
    return this == PYTORCH || this == PYTORCH_TUNED;
  }

  /** Whether it can do this; those that only run an exported network do not train. */
  boolean does(What what) {
    return what == What.FORWARD || isEngine() || isPython();
  }

  /** Environment variables of the contestant's process. */
  Map<String, String> environment() {
    return switch (this) {
      case ENGINE, ENGINE_ONEDNN, ONNXRUNTIME, TORCH, PYTORCH -> Map.of();
      case ENGINE_AVX2 -> Map.of("ONEDNN_MAX_CPU_ISA", "AVX2");
      case TORCH_TUNED, PYTORCH_TUNED -> KEEPING_MALLOC;
    };
  }

  /** Options of the JVM of the contestant's process, beside those that all have. */
  List<String> jvmOptions() {
    return switch (this) {
      case ENGINE, ONNXRUNTIME, TORCH, TORCH_TUNED, PYTORCH, PYTORCH_TUNED -> List.of();
      case ENGINE_ONEDNN -> List.of(WITHOUT_OWN_CODE);
      case ENGINE_AVX2 -> List.of(WITHOUT_OWN_CODE, "-XX:UseAVX=2");
    };
  }

  /**
   * Opens it in this process.
   *
   * @throws IllegalArgumentException if it lives in a process of another language, or cannot do
   *     what is compared
   */
  Contestant open(Setup setup) {
    return switch (setup.what()) {
      case FORWARD -> openForward(setup);
      case TRAINING -> openTraining(setup);
    };
  }

  private Contestant openForward(Setup setup) {
    return switch (this) {
      case ENGINE, ENGINE_ONEDNN, ENGINE_AVX2 -> EngineContestant.open(setup);
      case ONNXRUNTIME -> OnnxRuntimeContestant.open(setup);
      case TORCH, TORCH_TUNED -> TorchContestant.open(setup);
      case PYTORCH, PYTORCH_TUNED -> throw cannot(setup);
    };
  }

  private Contestant openTraining(Setup setup) {
    return switch (this) {
      case ENGINE, ENGINE_ONEDNN, ENGINE_AVX2 -> TrainingContestant.open(setup);
      case ONNXRUNTIME, TORCH, TORCH_TUNED, PYTORCH, PYTORCH_TUNED -> throw cannot(setup);
    };
  }

  private IllegalArgumentException cannot(Setup setup) {
    return new IllegalArgumentException(
        "%s cannot be opened for %s in a JVM".formatted(label(), setup.what().label()));
  }
}
