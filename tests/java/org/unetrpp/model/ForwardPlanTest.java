package org.unetrpp.model;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.Plan;
import org.unetrpp.backend.cpu.CpuBackend;
import org.unetrpp.backend.cuda.EmulatedCuda;
import org.unetrpp.backend.reference.ReferenceBackend;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.nn.Parameters;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;
import org.unetrpp.testing.Footprint;
import org.unetrpp.testing.Golden;

/** A planned pass gives the bytes of one that is not, and takes nothing when it is repeated. */
class ForwardPlanTest {
  private static final int BATCH = 2;

  private static Architecture small(String name) {
    return Golden.read(name + "-tiny").architecture();
  }

  /** Of the published widths, so that own machine code takes part, with a small patch. */
  private static Architecture wide(String name) {
    Architecture published = Architecture.published(name).orElseThrow();
    Extents strides = published.stem();
    for (Extents stride : published.downsampling()) {
      strides = strides.times(stride);
    }
    return published.withPatch(strides);
  }

  private static float[] patches(Architecture architecture, int batch, int seed) {
    long values = (long) batch * architecture.inputChannels() * architecture.patch().voxels();
    return DeterministicTensor.input("patches " + seed, Math.toIntExact(values));
  }

  private static float[] unplanned(
      Backend backend, Architecture architecture, int batch, float[] patches) {
    Extents patch = architecture.patch();
    Shape shape =
        Shape.of(batch, architecture.inputChannels(), patch.depth(), patch.height(), patch.width());
    try (Parameters parameters = NetworkState.deterministic(backend, architecture);
        var _ = backend.scopes().open()) {
      Tensor image = Tensor.of(backend, shape, patches);
      return new UnetrPlusPlus(architecture, parameters)
          .forward(image, HeadOutput.PROBABILITIES)
          .toArray();
    }
  }

  private static float[] run(ForwardPlan plan, float[] patches) {
    float[][] result = new float[1][];
    try (Arena arena = Arena.ofConfined()) {
      plan.run(
          arena.allocateFrom(JAVA_FLOAT, patches),
          values -> result[0] = values.toArray(JAVA_FLOAT));
    }
    return result[0];
  }

  private static void requireSameBytes(Supplier<Backend> open, Architecture architecture) {
    float[] first = patches(architecture, BATCH, 1);
    float[] second = patches(architecture, BATCH, 2);
    try (Backend backend = open.get()) {
      float[] ofFirst = unplanned(backend, architecture, BATCH, first);
      float[] ofSecond = unplanned(backend, architecture, BATCH, second);
      assertThat(Arrays.mismatch(ofFirst, ofSecond)).isNotNegative();
      Parameters parameters = NetworkState.deterministic(backend, architecture);
      try (ForwardPlan plan =
          new ForwardPlan(architecture, parameters, BATCH, HeadOutput.PROBABILITIES)) {
        assertThat(Arrays.mismatch(run(plan, first), ofFirst)).isEqualTo(-1);
        assertThat(Arrays.mismatch(run(plan, second), ofSecond)).isEqualTo(-1);
        assertThat(Arrays.mismatch(run(plan, first), ofFirst)).isEqualTo(-1);
      }
      assertThat(backend.allocator().bytesInUse()).isZero();
    }
  }

  @ParameterizedTest(name = "{0}")
  @ValueSource(strings = {"synapse", "acdc", "lung", "tumor"})
  void givesTheBytesOfAPassThatIsNotPlanned(String name) {
    requireSameBytes(() -> new CpuBackend(2), small(name));
    requireSameBytes(() -> new CpuBackend(2), wide(name));
    requireSameBytes(() -> CpuBackend.withoutOwnKernels(2), wide(name));
    requireSameBytes(() -> CpuBackend.composed(2), small(name));
  }

  @Test
  @SuppressWarnings("MustBeClosedChecker") // what opens a backend is not what closes it
  void givesTheSameBytesOnOtherBackends() {
    requireSameBytes(ReferenceBackend::new, small("lung"));
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
    requireSameBytes(() -> EmulatedCuda.open(DType.FLOAT32), small("lung"));
  }

  /**
   * Of the published widths, all is done by kernels for tensor cores, and a part is recorded beside
   * the rest: what a device may do late, the emulated one does.
   */
  @ParameterizedTest(name = "{0}")
  @ValueSource(strings = {"synapse", "acdc", "lung", "tumor"})
  void givesTheSameBytesOnTensorCores(String name) {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
    Architecture architecture = wide(name);
    float[] patches = patches(architecture, 1, 1);
    try (Backend backend = EmulatedCuda.openOnTensorCores(false)) {
      float[] expected = unplanned(backend, architecture, 1, patches);
      Parameters parameters = NetworkState.deterministic(backend, architecture);
      try (ForwardPlan plan =
          new ForwardPlan(architecture, parameters, 1, HeadOutput.PROBABILITIES)) {
        assertThat(Arrays.mismatch(run(plan, patches), expected)).isEqualTo(-1);
      }
    }
  }

  /**
   * Fused kernels round fewer values than the same network step by step in bfloat16: their error is
   * that of the other, but for chance. At least four tokens, as few are normalized to their signs.
   */
  @ParameterizedTest(name = "{0}")
  @ValueSource(strings = {"synapse", "acdc", "tumor"})
  void isAsExactOnTensorCoresAsStepByStep(String name) {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
    Extents least = wide(name).patch();
    Extents patch = new Extents(least.depth(), 2 * least.height(), 2 * least.width());
    Architecture architecture = wide(name).withPatch(patch);
    float[] patches = patches(architecture, 1, 1);
    try (Backend fused = EmulatedCuda.openOnTensorCores(true);
        Backend stepByStep = EmulatedCuda.openOffTensorCores();
        Backend cpu = new CpuBackend(2)) {
      float[] exact = unplanned(cpu, architecture, 1, patches);
      double allowed = relativeError(unplanned(stepByStep, architecture, 1, patches), exact);
      double error = relativeError(unplanned(fused, architecture, 1, patches), exact);
      assertThat(error).isLessThan(1.5 * allowed);
      assertThat(allowed).isLessThan(0.1);
    }
  }

  private static double relativeError(float[] actual, float[] exact) {
    double error = 0;
    double norm = 0;
    for (int i = 0; i < exact.length; i++) {
      error += Math.pow(actual[i] - exact[i], 2);
      norm += Math.pow(exact[i], 2);
    }
    return Math.sqrt(error / norm);
  }

  @ParameterizedTest(name = "{0}")
  @ValueSource(strings = {"synapse", "acdc", "lung", "tumor"})
  void takesNothingWhenItIsRepeated(String name) {
    for (Architecture architecture : List.of(small(name), wide(name))) {
      try (Backend backend = new CpuBackend(2);
          Arena arena = Arena.ofConfined()) {
        Parameters parameters = NetworkState.deterministic(backend, architecture);
        MemorySegment patches = arena.allocateFrom(JAVA_FLOAT, patches(architecture, BATCH, 3));
        try (ForwardPlan plan =
            new ForwardPlan(architecture, parameters, BATCH, HeadOutput.LOGITS)) {
          Footprint.assertTakesNothing(() -> plan.run(patches, _ -> {}), 300, 50);
        }
      }
    }
  }

  /** The largest tensors of full resolution: three of them, and what the encoder left. */
  @Test
  void tensorsOfThePublishedPatchShareTheMemoryOfThreeAtFullResolution() {
    Architecture architecture = Architecture.published("synapse").orElseThrow();
    long full = 4L * architecture.featureSize() * architecture.patch().voxels();
    try (Backend backend = new CpuBackend(1);
        ForwardPlan plan =
            new ForwardPlan(
                architecture,
                NetworkState.deterministic(backend, architecture),
                1,
                HeadOutput.LOGITS)) {
      assertThat(plan.arenaBytes()).isBetween(3 * full, 3 * full + full / 8);
    }
  }

  @Test
  void weightsThatArePackedAreGivenUp() {
    Architecture architecture = wide("lung");
    try (CpuBackend backend = new CpuBackend(1)) {
      Parameters parameters = NetworkState.deterministic(backend, architecture);
      try (ForwardPlan _ = new ForwardPlan(architecture, parameters, 1, HeadOutput.LOGITS)) {
        Buffer packed = parameters.buffer("decoder2.decoder_block.0.conv2.conv.weight");
        assertThatThrownBy(() -> backend.download(packed))
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("given up when a network was planned");
        Buffer read = parameters.buffer("unetr_pp_encoder.stages.0.0.pos_embed");
        assertThat(backend.download(read)).isNotEmpty();
        backend.upload(new float[Math.toIntExact(packed.elements())], packed);
        assertThat(backend.download(packed)).containsOnly(0);
      }
    }
  }

  @Test
  void aPlanTakesNewWeights() {
    try (CpuBackend backend = new CpuBackend(2);
        var _ = backend.scopes().open()) {
      int channels = 16;
      Shape shape = Shape.of(channels, channels);
      Tensor x = Tensor.of(backend, Shape.of(1, channels), ramp(channels));
      Tensor weight = Tensor.of(backend, shape, identity(channels));
      Supplier<Buffer> product =
          () -> {
            Tensor y = x.like();
            backend.convolution(
                x.buffer(),
                weight.buffer(),
                null,
                y.buffer(),
                new Grid(1, new Extents(1, 1, 1)),
                Convolution.pointwise(channels, channels));
            return y.buffer();
          };
      Plan plan = backend.plan(product, List.of());
      plan.run(y -> assertThat(backend.download(y)).containsExactly(ramp(channels)));
      float[] doubled = identity(channels);
      for (int i = 0; i < doubled.length; i++) {
        doubled[i] *= 2;
      }
      backend.upload(doubled, weight.buffer());
      plan.run(y -> assertThat(backend.download(y)[3]).isEqualTo(6));
      plan.close();
      assertThatThrownBy(() -> plan.run(_ -> {})).hasMessageContaining("closed");
    }
  }

  private static float[] ramp(int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = i;
    }
    return values;
  }

  private static float[] identity(int count) {
    float[] values = new float[count * count];
    for (int i = 0; i < count; i++) {
      values[i * count + i] = 1;
    }
    return values;
  }
}
