package org.unetrpp.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.ComposedTrainingBoxes;
import org.unetrpp.backend.TrainingBoxes;
import org.unetrpp.backend.cpu.CpuBackend;
import org.unetrpp.backend.cuda.CudaBackend;
import org.unetrpp.backend.cuda.EmulatedCuda;
import org.unetrpp.backend.reference.ReferenceBackend;
import org.unetrpp.memory.DType;
import org.unetrpp.testing.Branches;
import org.unetrpp.testing.Golden;

/** Losses, gradients and three optimizer steps against the published implementation in float64. */
class GoldenTrainingTest {
  private static final int THREADS = 2;

  /** Values of a small tensor. */
  private static final int FEW = 16;

  /** Of float32, relative. */
  private static final double ROUNDING = 0x1p-23;

  /** Of losses in float32. */
  private static final double LOSS_TOLERANCE = 1e-5;

  /**
   * Losses to 1e-12; gradients and the state after three steps to 1e-9 of each tensor's largest
   * value: some gradients are differences of sums ten thousand times as large.
   */
  @ParameterizedTest(name = "{0}")
  @ValueSource(strings = {"synapse-tiny", "acdc-tiny", "lung-tiny", "tumor-tiny"})
  void referenceBackendEqualsThePublishedTraining(String name) {
    try (Backend backend = new ReferenceBackend()) {
      Golden golden = Golden.read(name);
      GoldenSteps.Result result = GoldenSteps.run(backend, golden);
      Golden.Training expected = Objects.requireNonNull(golden.train());
      assertThat(lossesBeyond(1e-12, result, expected)).isEmpty();
      Map<String, Golden.Recorded> gradients =
          Objects.requireNonNull(expected.steps().getFirst().gradients());
      assertThat(samplesBeyond(1e-9, result.gradients(), gradients)).isEmpty();
      assertThat(samplesBeyond(1e-9, result.state(), expected.after())).isEmpty();
    }
  }

  /**
   * The loss of every step, and the heads of the first, in float32, whatever the boxes are made of.
   */
  @ParameterizedTest(name = "{0}")
  @ValueSource(strings = {"synapse-tiny", "acdc-tiny", "lung-tiny", "tumor-tiny"})
  void lossesOnTheCpuAreThePublishedOnes(String name) {
    try (Backend backend = new CpuBackend(THREADS)) {
      requirePublishedLosses(backend, name, LOSS_TOLERANCE);
    }
  }

  @ParameterizedTest(name = "{0}")
  @ValueSource(strings = "lung-tiny")
  void lossesOnCudaInBfloat16AreThePublishedOnesToTwoDigits(String name) {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
    try (Backend backend = EmulatedCuda.open(DType.BFLOAT16)) {
      requirePublishedLosses(backend, name, 1e-2);
    }
  }

  private static void requirePublishedLosses(Backend backend, String name, double tolerance) {
    Golden golden = Golden.read(name);
    GoldenSteps.Result result = GoldenSteps.run(backend, golden);
    requirePublishedLosses(result, Objects.requireNonNull(golden.train()), tolerance);
  }

  private static void requirePublishedLosses(
      GoldenSteps.Result result, Golden.Training expected, double tolerance) {
    List<String> failures = new ArrayList<>();
    for (int step = 0; step < expected.steps().size(); step++) {
      double loss = expected.steps().get(step).loss();
      check("loss " + step, result.losses().get(step), loss, tolerance, failures);
    }
    checkAll(
        "head",
        result.heads().getFirst(),
        expected.steps().getFirst().heads(),
        tolerance,
        failures);
    assertThat(failures).isEmpty();
  }

  /**
   * Every value of every gradient, and of the state after three steps, within twice PyTorch's own
   * float32 error of that tensor, on the branch of each LeakyReLU that the backend took; and all
   * losses and norms.
   */
  @ParameterizedTest(name = "{0}")
  @ValueSource(strings = {"synapse-tiny", "acdc-tiny", "lung-tiny", "tumor-tiny"})
  void gradientsOnTheCpuAreAsExactAsPyTorch(String name) {
    try (Backend backend = new CpuBackend(THREADS)) {
      requireGradientsAsExactAsPyTorch(backend, ComposedTrainingBoxes::new, name);
    }
  }

  /** The same on a GPU that this machine plays, with its own boxes. */
  @ParameterizedTest(name = "{0}")
  @ValueSource(strings = {"synapse-tiny", "acdc-tiny", "lung-tiny", "tumor-tiny"})
  void gradientsOnCudaAreAsExactAsPyTorch(String name) {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
    try (CudaBackend backend = EmulatedCuda.open(DType.FLOAT32)) {
      requireGradientsAsExactAsPyTorch(
          backend, seen -> EmulatedCuda.trainingBoxes(backend, seen), name);
    }
  }

  private static void requireGradientsAsExactAsPyTorch(
      Backend backend, Function<Backend, TrainingBoxes> boxes, String name) {
    Golden golden = Golden.read(name);
    Golden.TrainingErrors errors = Golden.torchTrainingErrors(name);
    Branches branches = new Branches();
    GoldenSteps.Result actual = GoldenSteps.run(branches.recording(backend, boxes), golden);
    requirePublishedLosses(actual, Objects.requireNonNull(golden.train()), LOSS_TOLERANCE);
    try (Backend reference = new ReferenceBackend()) {
      GoldenSteps.Result expected = GoldenSteps.run(branches.replaying(reference), golden);
      List<String> failures = new ArrayList<>();
      checkAll("loss", actual.losses(), expected.losses(), LOSS_TOLERANCE, failures);
      checkAll("norm", actual.norms(), expected.norms(), LOSS_TOLERANCE, failures);
      for (int step = 0; step < actual.heads().size(); step++) {
        checkAll(
            "head of step " + step,
            actual.heads().get(step),
            expected.heads().get(step),
            LOSS_TOLERANCE,
            failures);
      }
      assertThat(failures).isEmpty();
      assertThat(valuesBeyond(errors.gradients(), actual.gradients(), expected.gradients()))
          .isEmpty();
      assertThat(valuesBeyond(errors.state(), actual.state(), expected.state())).isEmpty();
    }
  }

  private static List<String> lossesBeyond(
      double tolerance, GoldenSteps.Result actual, Golden.Training expected) {
    List<String> failures = new ArrayList<>();
    for (int step = 0; step < expected.steps().size(); step++) {
      Golden.Step record = expected.steps().get(step);
      check("loss " + step, actual.losses().get(step), record.loss(), tolerance, failures);
      check("norm " + step, actual.norms().get(step), record.norm(), tolerance, failures);
      checkAll(
          "head of step " + step, actual.heads().get(step), record.heads(), tolerance, failures);
    }
    return failures;
  }

  private static void checkAll(
      String what,
      List<Double> actual,
      List<Double> expected,
      double tolerance,
      List<String> failures) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < expected.size(); i++) {
      check(what + " " + i, actual.get(i), expected.get(i), tolerance, failures);
    }
  }

  private static void check(
      String what, double actual, double expected, double tolerance, List<String> failures) {
    if (!(Math.abs(actual - expected) <= tolerance * Math.abs(expected))) {
      failures.add("%s is %s, expected %s".formatted(what, actual, expected));
    }
  }

  private static List<String> samplesBeyond(
      double tolerance, Map<String, double[]> actual, Map<String, Golden.Recorded> expected) {
    assertThat(expected).isNotEmpty();
    List<String> failures = new ArrayList<>();
    expected.forEach((name, record) -> {
      double[] values = Objects.requireNonNull(actual.get(name), name);
      double[] samples = Arrays.stream(record.index()).mapToDouble(i -> values[i]).toArray();
      double error = largestDifference(samples, record.value()) / record.absmax();
      if (!(error <= tolerance)) {
        failures.add("%s: relative error %s".formatted(name, error));
      }
    });
    return failures;
  }

  /**
   * Tensors that differ by more than twice PyTorch's error, and the rounding of a result to
   * float32. The errors of a few values are few draws, so small tensors are held against the
   * largest of PyTorch's errors of their kind.
   */
  private static List<String> valuesBeyond(
      Map<String, Double> torch, Map<String, double[]> actual, Map<String, double[]> expected) {
    assertThat(torch).isNotEmpty();
    List<String> failures = new ArrayList<>();
    torch.forEach((name, torchError) -> {
      double[] exact = Objects.requireNonNull(expected.get(name), name);
      double largest = largestDifference(exact, new double[exact.length]);
      double error =
          largestDifference(Objects.requireNonNull(actual.get(name), name), exact) / largest;
      double bound = exact.length < FEW ? largestOfKind(kind(name), torch) : torchError;
      if (!(error <= 2 * bound + ROUNDING)) {
        failures.add("%s: relative error %s, PyTorch %s".formatted(name, error, bound));
      }
    });
    return failures;
  }

  private static String kind(String name) {
    return name.substring(name.lastIndexOf('.') + 1);
  }

  private static double largestOfKind(String kind, Map<String, Double> torch) {
    return torch.entrySet().stream()
        .filter(entry -> kind(entry.getKey()).equals(kind))
        .mapToDouble(Map.Entry::getValue)
        .max()
        .orElseThrow();
  }

  private static double largestDifference(double[] actual, double[] expected) {
    double largest = 0;
    for (int i = 0; i < expected.length; i++) {
      largest = Math.max(largest, Math.abs(actual[i] - expected[i]));
    }
    return largest;
  }
}
