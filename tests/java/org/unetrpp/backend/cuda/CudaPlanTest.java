package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.Plan;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.ForwardPlan;
import org.unetrpp.model.NetworkState;

/** Recorded passes. Their results are held against direct ones by {@code ForwardPlanTest}. */
class CudaPlanTest {
  @BeforeEach
  void requireEmulation() {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
  }

  /** Megabytes of three tensors at full resolution, which live together, and 3 % more. */
  @ParameterizedTest(name = "{0} in {1}: {2} MB, {3} launches")
  @CsvSource({
    "synapse, FLOAT32, 208, 170",
    "synapse, BFLOAT16, 104, 142",
    "acdc, BFLOAT16, 42, 184",
    "lung, BFLOAT16, 119, 184",
    "tumor, BFLOAT16, 222, 143"
  })
  void aPublishedPassFitsIntoLittleMemory(
      String name, DType type, int megabytes, int mostLaunches) {
    Architecture architecture = Architecture.published(name).orElseThrow();
    CountingCuda counting = new CountingCuda();
    try (CudaBackend backend = counting.open(type);
        ForwardPlan plan =
            new ForwardPlan(
                architecture,
                NetworkState.deterministic(backend, architecture),
                1,
                HeadOutput.LOGITS)) {
      assertThat(plan.arenaBytes()).isLessThan(megabytes * 1_000_000L);
      int launches = counting.launches().values().stream().mapToInt(Integer::intValue).sum();
      assertThat(launches).as("%s", counting.launches()).isBetween(1, mostLaunches);
    }
  }

  /** 12 blocks of the encoder and 9 of the decoder, the norm of an embedding included. */
  @ParameterizedTest(name = "{0}")
  @ValueSource(strings = {"synapse", "acdc", "lung", "tumor"})
  void attentionIsThreeLaunchesOfEachBlock(String name) {
    Architecture architecture = Architecture.published(name).orElseThrow();
    CountingCuda counting = new CountingCuda();
    try (CudaBackend backend = counting.open(DType.BFLOAT16);
        ForwardPlan _ =
            new ForwardPlan(
                architecture,
                NetworkState.deterministic(backend, architecture),
                1,
                HeadOutput.LOGITS)) {
      Map<String, Integer> launches = new TreeMap<>();
      counting
          .launches()
          .forEach((kernel, count) -> {
            if (kernel.contains("attention")) {
              launches.merge(kernel.replaceFirst("(_\\d+)*$", ""), count, Integer::sum);
            }
          });
      assertThat(launches)
          .isEqualTo(
              Map.of(
                  "tensor_attention_sums", 21,
                  "tensor_attention_maps", 21,
                  "tensor_attention_output", 21));
      assertThat(counting.launches().get("group_norm_forward_bf16"))
          .as("of the two residual blocks at full resolution")
          .isEqualTo(2);
    }
  }

  @Test
  void newWeightsAreRecordedAnew() {
    int channels = 16;
    try (CudaBackend backend = EmulatedCuda.open(DType.FLOAT32);
        var _ = backend.scopes().open()) {
      Buffer x = backend.scopes().allocate(DType.FLOAT32, channels);
      Buffer weight = backend.scopes().allocate(DType.FLOAT32, (long) channels * channels);
      backend.upload(values(channels, 1), x);
      backend.upload(values(channels * channels, 1), weight);
      Plan plan =
          backend.plan(
              () -> {
                Buffer y = backend.scopes().allocate(DType.FLOAT32, channels);
                Grid grid = new Grid(1, Extents.cube(1));
                Convolution shape = Convolution.pointwise(channels, channels);
                backend.convolution(x, weight, null, y, grid, shape);
                return y;
              },
              List.of());
      plan.run(y -> assertThat(backend.download(y)).containsOnly(16));
      backend.upload(values(channels, 2), x);
      plan.run(y -> assertThat(backend.download(y)).containsOnly(32));
      backend.upload(values(channels * channels, 3), weight);
      plan.run(y -> assertThat(backend.download(y)).containsOnly(96));
      plan.close();
    }
  }

  private static float[] values(int count, float value) {
    float[] values = new float[count];
    Arrays.fill(values, value);
    return values;
  }
}
