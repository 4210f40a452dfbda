package org.unetrpp.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.cuda.EmulatedCuda;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.DType;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.NetworkState;
import org.unetrpp.model.UnetrPlusPlus;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.nn.Parameters;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;
import org.unetrpp.testing.Golden;

/**
 * What a GPU that this machine plays computes twice, in any order of its blocks, with threads that
 * take turns from the first to the last and from the last to the first: no kernel lacks a barrier.
 */
class CudaDeterminismTest {
  private static final Golden GOLDEN = Golden.read("lung-tiny");

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void logitsAreTheSameBytes(DType type) {
    float[] expected = logits(type, false);
    assertThat(expected).isNotEmpty().doesNotContain(Float.NaN);
    assertThat(logits(type, true)).isEqualTo(expected);
  }

  private static float[] logits(DType type, boolean backwards) {
    Architecture architecture = GOLDEN.architecture();
    Extents patch = architecture.patch();
    Shape shape =
        Shape.of(1, architecture.inputChannels(), patch.depth(), patch.height(), patch.width());
    float[] values = DeterministicTensor.input("input", Math.toIntExact(shape.elements()));
    try (Backend backend = EmulatedCuda.open(type, backwards);
        var _ = backend.scopes().open();
        Parameters parameters = NetworkState.deterministic(backend, architecture)) {
      Tensor image = Tensor.of(backend, shape, values);
      UnetrPlusPlus network = new UnetrPlusPlus(architecture, parameters);
      return backend.download(network.forward(image, HeadOutput.LOGITS).buffer());
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void aTrainingStepWithDropoutIsTheSameBytes(DType type) {
    GoldenSteps.Result expected = step(type, false);
    GoldenSteps.Result actual = step(type, true);
    assertThat(actual.losses()).isEqualTo(expected.losses());
    assertThat(actual.norms()).isEqualTo(expected.norms());
    assertThat(actual.gradients().keySet()).isEqualTo(expected.gradients().keySet()).isNotEmpty();
    expected
        .gradients()
        .forEach((name, gradient) ->
            assertThat(actual.gradients().get(name)).as(name).isEqualTo(gradient));
    expected
        .state()
        .forEach((name, values) -> assertThat(actual.state().get(name)).as(name).isEqualTo(values));
  }

  private static GoldenSteps.Result step(DType type, boolean backwards) {
    try (Backend backend = EmulatedCuda.open(type, backwards)) {
      return GoldenSteps.runWithDropout(backend, GOLDEN, 0.3);
    }
  }
}
