package org.unetrpp.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.reference.ReferenceBackend;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.nn.Parameters;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;
import org.unetrpp.testing.Golden;

/** The networks against the published implementation in float64. */
class GoldenNetworkTest {
  /** What a probe saw, as rows of columns. */
  private record Seen(double[] values, int columns) {}

  @ParameterizedTest(name = "{0}")
  @ValueSource(strings = {"synapse-tiny", "acdc-tiny", "lung-tiny", "tumor-tiny"})
  void referenceBackendEqualsEveryPublishedModule(String name) {
    try (Backend backend = new ReferenceBackend()) {
      Golden golden = Golden.read(name);
      Map<String, Seen> seen = new HashMap<>();
      List<String> failures = new ArrayList<>();
      run(backend, golden, seen);
      golden
          .modules()
          .forEach((module, expected) -> {
            double error = moduleError(module, expected, seen);
            if (!(error <= 1e-12)) {
              failures.add(module + ": relative error " + error);
            }
          });
      assertThat(failures).isEmpty();
    }
  }

  /** Runs the network, collecting what its boxes show and the three heads' logits. */
  private static void run(Backend backend, Golden golden, Map<String, Seen> seen) {
    Architecture architecture = golden.architecture();
    backend.observe((name, values, rows, columns) ->
        seen.put(name, new Seen(backend.downloadDouble(values), columns)));
    try (var _ = backend.scopes().open();
        Parameters parameters = NetworkState.deterministic(backend, architecture)) {
      UnetrPlusPlus network = new UnetrPlusPlus(architecture, parameters);
      var patch = architecture.patch();
      Shape shape =
          Shape.of(1, architecture.inputChannels(), patch.depth(), patch.height(), patch.width());
      float[] values = DeterministicTensor.input("input", Math.toIntExact(shape.elements()));
      network.forwardWithDeepSupervision(Tensor.of(backend, shape, values));
    }
  }

  /** Largest error of the recorded samples, relative to the tensor's absmax. */
  private static double moduleError(
      String module, Golden.Recorded expected, Map<String, Seen> seen) {
    Seen actual = find(module, seen);
    if (actual == null) {
      return Double.NaN;
    }
    double worst = 0;
    for (int i = 0; i < expected.index().length; i++) {
      int index = position(module, expected.shape(), expected.index()[i], actual.columns());
      worst = Math.max(worst, Math.abs(actual.values()[index] - expected.value()[i]));
    }
    return worst / expected.absmax();
  }

  /** Wrapper modules of the published code give what the module inside them gives. */
  private static @Nullable Seen find(String module, Map<String, Seen> seen) {
    String name =
        module
            .replaceFirst("\\.conv(\\d)\\.conv$", ".conv$1")
            .replaceFirst("(out\\d)(\\.conv)?$", "$1.conv.conv")
            .replaceFirst("\\.transp_conv$", ".transp_conv.conv")
            .replaceFirst("\\.lrelu$", "")
            .replaceFirst("downsample_layers\\.(\\d)\\.0$", "downsample_layers.$1.0.conv")
            .replaceFirst("\\.out_proj2?$", "")
            .replaceFirst("(decoder[345])\\.decoder_block\\.0$", "$1")
            .replaceFirst("\\.conv8\\.1$", ".conv8");
    if (name.endsWith(".conv8.0")) { // dropout: the last residual convolution unchanged
      String block = name.substring(0, name.length() - ".conv8.0".length());
      return seen.getOrDefault(block + ".conv52", seen.get(block + ".conv51"));
    }
    return seen.get(name);
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
