package org.unetrpp.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.cpu.CpuBackend;
import org.unetrpp.backend.cuda.EmulatedCuda;
import org.unetrpp.backend.reference.ReferenceBackend;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.DType;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.nn.Parameters;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;
import org.unetrpp.testing.Golden;

/** The networks against the published implementation in float64. */
class GoldenNetworkTest {
  private static final int THREADS = 2;

  static Stream<String> allNetworks() {
    return Stream.of("tiny", "full")
        .flatMap(
            size -> Stream.of("synapse", "acdc", "lung", "tumor").map(name -> name + "-" + size));
  }

  @ParameterizedTest(name = "{0}")
  @ValueSource(strings = {"synapse-tiny", "acdc-tiny", "lung-tiny", "tumor-tiny"})
  void referenceBackendEqualsEveryPublishedModule(String name) {
    try (Backend backend = new ReferenceBackend()) {
      Golden golden = Golden.read(name);
      Map<String, Double> errors = run(backend, golden).largest();
      assertThat(errors.keySet()).isNotEmpty();
      assertThat(modulesBeyond(_ -> 1e-12, golden, errors, Missing.FAILS)).isEmpty();
    }
  }

  /** Step by step in float32, every module within twice PyTorch's own float32 error. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("allNetworks")
  void composedBoxesOnTheCpuAreAsExactAsPyTorch(String name) {
    try (Backend backend = CpuBackend.composed(THREADS)) {
      Golden golden = Golden.read(name);
      Map<String, Double> errors = run(backend, golden).largest();
      assertThat(modulesBeyond(twiceTorch(name), golden, errors, Missing.FAILS)).isEmpty();
      assertThat(logitsBeyondPyTorch(golden, errors)).isEmpty();
    }
  }

  /** Fused boxes do not have every module's output; those that they have are as exact. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("allNetworks")
  void fusedBoxesOnTheCpuAreAsExactAsPyTorch(String name) {
    try (Backend backend = new CpuBackend(THREADS)) {
      requireFusedBoxesAsExactAsPyTorch(backend, name);
    }
  }

  /** What runs where there is no AVX-512, or no code may be made at run time. */
  @ParameterizedTest(name = "{0}")
  @ValueSource(strings = {"synapse-tiny", "acdc-tiny", "lung-tiny", "tumor-tiny", "synapse-full"})
  void convolutionsLeftToOneDnnAreAsExactAsPyTorch(String name) {
    try (CpuBackend backend = CpuBackend.withoutOwnKernels(THREADS)) {
      assertThat(backend.capabilities().ownKernels()).isFalse();
      requireFusedBoxesAsExactAsPyTorch(backend, name);
    }
  }

  private static void requireFusedBoxesAsExactAsPyTorch(Backend backend, String name) {
    Golden golden = Golden.read(name);
    Map<String, Double> errors = run(backend, golden).largest();
    assertThat(errors).containsKeys("decoder2", "decoder3", "encoder1", "out1.conv.conv");
    assertThat(modulesBeyond(twiceTorch(name), golden, errors, Missing.PASSES)).isEmpty();
    assertThat(logitsBeyondPyTorch(golden, errors)).isEmpty();
  }

  /** The same on a GPU that this machine plays. */
  @ParameterizedTest(name = "{0}")
  @ValueSource(strings = {"synapse-tiny", "acdc-tiny", "lung-tiny", "tumor-tiny"})
  void boxesOnCudaInFloat32AreAsExactAsPyTorch(String name) {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
    try (Backend backend = EmulatedCuda.open(DType.FLOAT32)) {
      requireFusedBoxesAsExactAsPyTorch(backend, name);
    }
  }

  @ParameterizedTest(name = "{0}")
  @ValueSource(strings = {"synapse-tiny", "acdc-tiny", "lung-tiny", "tumor-tiny"})
  void logitsOnCudaInBfloat16AreCloseToThePublishedOnes(String name) {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
    try (Backend backend = EmulatedCuda.open(DType.BFLOAT16)) {
      requireLogitsCloseToThePublishedOnes(backend, name);
    }
  }

  /** All but the convolutions of 4 channels are on tensor cores. */
  @ParameterizedTest(name = "{0}, backwards {1}")
  @CsvSource({
    "synapse-tiny, false",
    "synapse-tiny, true",
    "acdc-tiny, false",
    "lung-tiny, true",
    "tumor-tiny, false"
  })
  void logitsOnTensorCoresAreCloseToThePublishedOnes(String name, boolean backwards) {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
    try (Backend backend = EmulatedCuda.openOnTensorCores(backwards)) {
      requireLogitsCloseToThePublishedOnes(backend, name);
    }
  }

  /** Relative errors of 1e-2, and half as much again in the heads that only training needs. */
  private static void requireLogitsCloseToThePublishedOnes(Backend backend, String name) {
    Map<String, Double> errors = run(backend, Golden.read(name)).ofLogits();
    assertThat(errors)
        .hasSize(3)
        .allSatisfy(
            (head, error) -> assertThat(error).isLessThan(head.startsWith("out1") ? 1e-2 : 1.5e-2));
  }

  private enum Missing {
    FAILS,
    PASSES
  }

  /** Modules whose recorded samples differ by more than their share of the tensor's absmax. */
  private static List<String> modulesBeyond(
      ToDoubleFunction<String> tolerance,
      Golden golden,
      Map<String, Double> errors,
      Missing missing) {
    List<String> failures = new ArrayList<>();
    golden
        .modules()
        .forEach((module, expected) -> {
          Double error = errors.get(module);
          if (error == null) {
            if (missing == Missing.FAILS) {
              failures.add(module + " was not shown");
            }
            return;
          }
          double relative = error / expected.absmax();
          double allowed = tolerance.applyAsDouble(module);
          if (!(relative <= allowed)) {
            failures.add(module + ": relative error " + relative + " beyond " + allowed);
          }
        });
    return failures;
  }

  /** Twice PyTorch's own float32 error of each module. */
  private static ToDoubleFunction<String> twiceTorch(String name) {
    Map<String, Double> errors = Golden.torchErrors(name);
    return module -> 2 * errors.getOrDefault(module, 0.0);
  }

  /** Heads whose recorded logits differ by more than twice PyTorch's own float32 error. */
  private static List<String> logitsBeyondPyTorch(Golden golden, Map<String, Double> errors) {
    List<String> failures = new ArrayList<>();
    for (int head = 0; head < 3; head++) {
      Golden.Recorded expected = golden.outputs().get(head);
      String name = "out" + (head + 1) + ".conv.conv";
      double error = errors.getOrDefault(name, Double.NaN);
      if (!(error <= 2 * expected.torchError())) {
        failures.add(name + ": error " + error + ", PyTorch " + expected.torchError());
      }
    }
    return failures;
  }

  /**
   * Errors of the recorded samples.
   *
   * @param largest of each module
   * @param ofLogits Euclidean norm of the errors of each head over that of its logits
   */
  private record Errors(Map<String, Double> largest, Map<String, Double> ofLogits) {}

  private static Errors run(Backend backend, Golden golden) {
    Map<String, List<String>> modulesOf = new HashMap<>(); // by the name that a box shows
    Set<String> modules = golden.modules().keySet();
    modules.forEach(module ->
        modulesOf.computeIfAbsent(shownName(module, modules), _ -> new ArrayList<>()).add(module));
    Map<String, Double> largest = new HashMap<>();
    Map<String, Double> ofLogits = new HashMap<>();
    backend.observe((name, values, rows, columns) -> {
      List<String> shown = modulesOf.getOrDefault(name, List.of());
      double[] actual = shown.isEmpty() ? new double[0] : backend.downloadDouble(values);
      for (String module : shown) {
        Golden.Recorded expected = Objects.requireNonNull(golden.modules().get(module));
        largest.put(module, largestError(module, expected, actual, columns));
      }
      if (name.startsWith("out")) { // more samples of the logits
        int head = Character.digit(name.charAt(3), 10) - 1;
        largest.put(name, largestError(name, golden.outputs().get(head), actual, columns));
        ofLogits.put(name, relativeError(golden.outputs().get(head), actual));
      }
    });
    Architecture architecture = golden.architecture();
    try (var _ = backend.scopes().open();
        Parameters parameters = NetworkState.deterministic(backend, architecture)) {
      UnetrPlusPlus network = new UnetrPlusPlus(architecture, parameters);
      Extents patch = architecture.patch();
      Shape shape =
          Shape.of(1, architecture.inputChannels(), patch.depth(), patch.height(), patch.width());
      float[] values = DeterministicTensor.input("input", Math.toIntExact(shape.elements()));
      network.forwardWithDeepSupervision(Tensor.of(backend, shape, values));
    }
    assertThat(backend.allocator().bytesInUse()).isZero();
    return new Errors(largest, ofLogits);
  }

  private static double relativeError(Golden.Recorded expected, double[] actual) {
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < expected.index().length; i++) {
      difference += Math.pow(actual[expected.index()[i]] - expected.value()[i], 2);
      norm += Math.pow(expected.value()[i], 2);
    }
    return Math.sqrt(difference / norm);
  }

  private static double largestError(
      String module, Golden.Recorded expected, double[] actual, int columns) {
    double worst = 0;
    for (int i = 0; i < expected.index().length; i++) {
      int index = position(module, expected.shape(), expected.index()[i], columns);
      worst = Math.max(worst, Math.abs(actual[index] - expected.value()[i]));
    }
    return worst;
  }

  /** Wrapper modules of the published code give what the module inside them gives. */
  private static String shownName(String module, Set<String> modules) {
    if (module.endsWith(".conv8.0")) { // dropout: the last residual convolution unchanged
      String block = module.substring(0, module.length() - ".conv8.0".length());
      return modules.contains(block + ".conv52") ? block + ".conv52" : block + ".conv51";
    }
    return module
        .replaceFirst("\\.conv(\\d)\\.conv$", ".conv$1")
        .replaceFirst("(out\\d)(\\.conv)?$", "$1.conv.conv")
        .replaceFirst("\\.transp_conv$", ".transp_conv.conv")
        .replaceFirst("\\.lrelu$", "")
        .replaceFirst("downsample_layers\\.(\\d)\\.0$", "downsample_layers.$1.0.conv")
        .replaceFirst("\\.out_proj2?$", "")
        .replaceFirst("(decoder[345])\\.decoder_block\\.0$", "$1")
        .replaceFirst("\\.conv8\\.1$", ".conv8");
  }

  /** Where a flat index of the published axis order lies in rows of channels. */
  private static int position(String module, int[] shape, int index, int columns) {
    boolean halves = module.matches(".*out_proj2?");
    if (halves) { // (B, N, C / 2), a half of the concatenated channels
      int half = shape[2];
      return index / half * columns + index % half + (module.endsWith("2") ? half : 0);
    }
    if (shape.length != 5 || module.startsWith("out")) {
      return index;
    }
    int tokens = shape[2] * shape[3] * shape[4];
    int channel = index / tokens % shape[1];
    int item = index / tokens / shape[1];
    return (item * tokens + index % tokens) * columns + channel;
  }
}
