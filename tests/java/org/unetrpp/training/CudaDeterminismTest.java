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

/** What a GPU that this machine plays computes twice, in any order of its blocks. */
class CudaDeterminismTest {
  private static final Golden GOLDEN = Golden.read("lung-tiny");

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void logitsAreTheSameBytes(DType type) {
    float[] expected = logits(type);
    assertThat(expected).isNotEmpty().doesNotContain(Float.NaN);
    assertThat(logits(type)).isEqualTo(expected);
  }

  private static float[] logits(DType type) {
    Architecture architecture = GOLDEN.architecture();
    Extents patch = architecture.patch();
    Shape shape =
        Shape.of(1, architecture.inputChannels(), patch.depth(), patch.height(), patch.width());
    float[] values = DeterministicTensor.input("input", Math.toIntExact(shape.elements()));
    try (Backend backend = EmulatedCuda.open(type);
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
    GoldenSteps.Result expected = step(type);
    GoldenSteps.Result actual = step(type);
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

  private static GoldenSteps.Result step(DType type) {
    try (Backend backend = EmulatedCuda.open(type)) {
      return GoldenSteps.runWithDropout(backend, GOLDEN, 0.3);
    }
  }
}
