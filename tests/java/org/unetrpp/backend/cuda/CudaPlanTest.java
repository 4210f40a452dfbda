package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
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
    "synapse, BFLOAT16, 104, 166",
    "acdc, BFLOAT16, 42, 208",
    "lung, BFLOAT16, 119, 208",
    "tumor, BFLOAT16, 222, 173"
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
