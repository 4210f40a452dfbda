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
import org.unetrpp.window.WindowEngine;
import org.unetrpp.window.WindowedVolume;

/** Recorded passes. Their results are held against direct ones by {@code ForwardPlanTest}. */
class CudaPlanTest {
  @BeforeEach
  void requireEmulation() {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
  }

  /**
   * Megabytes of the tensors at full resolution that live together, and launches: in bfloat16 three
   * of attention and two of convolutions in each of 21 blocks, or four where a block has two
   * residual convolutions; four embeddings, three upsamplings, five at full resolution, one that
   * puts several channels last.
   */
  @ParameterizedTest(name = "{0} in {1}: {2} MB, {3} launches")
  @CsvSource({
    "synapse, FLOAT32, 208, 170",
    "synapse, BFLOAT16, 104, 117",
    "acdc, BFLOAT16, 42, 159",
    "lung, BFLOAT16, 119, 159",
    "tumor, BFLOAT16, 222, 118"
  })
  void aPublishedPassFitsIntoLittleMemory(String name, DType type, int megabytes, int launches) {
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
      int counted = counting.launches().values().stream().mapToInt(Integer::intValue).sum();
      assertThat(counted).as("%s", counting.launches()).isEqualTo(launches);
    }
  }

  /** A launch more than a pass takes: windows are cut out, and the head adds to their sums. */
  @Test
  void aStepOfMirroredWindowsIsAPassThatEndsInTheirSums() {
    Architecture architecture = Architecture.published("synapse").orElseThrow();
    Extents patch = architecture.patch();
    CountingCuda counting = new CountingCuda();
    try (CudaBackend backend = counting.open(DType.BFLOAT16);
        ForwardPlan plan =
            new ForwardPlan(
                architecture,
                NetworkState.deterministic(backend, architecture),
                1,
                HeadOutput.PROBABILITIES);
        WindowEngine windows = plan.windows().orElseThrow()) {
      WindowedVolume volume =
          new WindowedVolume(
              new Extents(150, 512, 512),
              patch.depth(),
              patch.depth() + 1,
              49,
              List.of(0, 1, 2, 3, 4, 5, 6, 7),
              new float[Math.toIntExact(patch.voxels())]);
      assertThat(windows.holds(volume)).isTrue();
      assertThat(counting.launchesOf("window_gather_bf16")).isEqualTo(1);
      assertThat(counting.launchesOf("full_resolution_window_bf16")).isEqualTo(1);
      int launches = counting.launches().values().stream().mapToInt(Integer::intValue).sum();
      assertThat(launches).as("%s", counting.launches()).isEqualTo(118);
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

  /** On the emulated device, a recorded branch runs when it is joined. */
  @Test
  void aBranchSharesItsMemoryWithNothingBesideIt() {
    int count = 100;
    try (CudaBackend backend = EmulatedCuda.open(DType.FLOAT32);
        var _ = backend.scopes().open()) {
      Buffer x = backend.scopes().allocate(DType.FLOAT32, count);
      backend.upload(values(count, 1), x);
      Plan plan = backend.plan(() -> fourTimes(backend, x), List.of());
      plan.run(y -> assertThat(backend.download(y)).containsOnly(4));
      backend.upload(values(count, 3), x);
      plan.run(y -> assertThat(backend.download(y)).containsOnly(12));
      plan.close();
      assertThat(backend.download(fourTimes(backend, x))).containsOnly(12);
    }
  }

  private static Buffer fourTimes(CudaBackend backend, Buffer x) {
    Buffer triple = backend.scopes().allocate(x.dtype(), x.elements());
    Branch branch =
        backend
            .context()
            .branch(() -> {
              try (var _ = backend.scopes().open()) {
                Buffer twice = backend.scopes().allocate(x.dtype(), x.elements());
                backend.add(x, x, twice);
                backend.add(twice, x, triple);
              }
            });
    Buffer same = backend.scopes().allocate(x.dtype(), x.elements());
    backend.leakyRelu(x, same, 1);
    branch.join();
    Buffer y = backend.scopes().allocate(x.dtype(), x.elements());
    backend.add(triple, same, y);
    return y;
  }

  private static float[] values(int count, float value) {
    float[] values = new float[count];
    Arrays.fill(values, value);
    return values;
  }
}
