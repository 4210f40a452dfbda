package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.backend.Convolution;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

class WeightKernelsTest {
  private static final Extents ONE = Extents.cube(1);

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
  }

  private static Convolution shape(int in, int out, int depth, int height, int width) {
    return new Convolution(in, out, new Extents(depth, height, width), ONE, Extents.cube(0));
  }

  @ParameterizedTest(name = "{1} to {2} channels, kernel {3}x{4}x{5}, {0}")
  @CsvSource({
    "FLOAT32, 1, 16, 3, 3, 3",
    "FLOAT32, 33, 3, 3, 3, 3",
    "FLOAT32, 70, 2, 2, 4, 9",
    "FLOAT32, 5, 7, 1, 1, 1",
    "BFLOAT16, 16, 16, 3, 3, 3",
    "BFLOAT16, 31, 3, 2, 4, 4",
    "BFLOAT16, 65, 2, 1, 1, 1",
  })
  void packingMovesInputChannelsBehindTheKernel(
      DType dtype, int in, int out, int depth, int height, int width) {
    Convolution shape = shape(in, out, depth, height, width);
    int taps = depth * height * width;
    try (EmulatedContext emulated = new EmulatedContext();
        var _ = emulated.context().scopes().open()) {
      WeightKernels kernels = new WeightKernels(emulated.context());
      float[] weight = EmulatedContext.random(new Random(1), DType.FLOAT32, (long) in * out * taps);
      float[] expected = new float[weight.length];
      for (int o = 0; o < out; o++) {
        for (int i = 0; i < in; i++) {
          for (int tap = 0; tap < taps; tap++) {
            float value = weight[(o * in + i) * taps + tap];
            expected[(o * taps + tap) * in + i] =
                dtype == DType.FLOAT32 ? value : BFloat16.toFloat(BFloat16.fromFloat(value));
          }
        }
      }
      Buffer packed = kernels.packed(emulated.buffer(DType.FLOAT32, weight), dtype, shape);
      assertThat(EmulatedContext.values(packed)).isEqualTo(expected);

      float[] before = EmulatedContext.random(new Random(2), DType.FLOAT32, weight.length);
      Buffer dweight = emulated.buffer(DType.FLOAT32, before);
      kernels.addUnpacked(packed, dweight, shape);
      float[] sums = new float[weight.length];
      for (int o = 0; o < out; o++) {
        for (int i = 0; i < in; i++) {
          for (int tap = 0; tap < taps; tap++) {
            int at = (o * in + i) * taps + tap;
            sums[at] = before[at] + expected[(o * taps + tap) * in + i];
          }
        }
      }
      assertThat(EmulatedContext.values(dweight)).isEqualTo(sums);
    }
  }

  @Test
  void weightsArePackedOnceForEachType() {
    Convolution shape = shape(4, 4, 3, 3, 3);
    try (EmulatedContext emulated = new EmulatedContext();
        var _ = emulated.context().scopes().open()) {
      WeightKernels kernels = new WeightKernels(emulated.context());
      Buffer weight = emulated.buffer(DType.FLOAT32, new float[4 * 4 * 27]);
      Buffer first = kernels.packed(weight, DType.FLOAT32, shape);
      assertThat(kernels.packed(weight, DType.FLOAT32, shape)).isEqualTo(first);
      assertThat(emulated.launches()).isEqualTo(1);
      assertThat(kernels.packed(weight, DType.BFLOAT16, shape)).isNotEqualTo(first);
      assertThat(emulated.launches()).isEqualTo(2);
      emulated.context().packs().invalidate(weight.address(), weight.bytes());
      kernels.packed(weight, DType.FLOAT32, shape);
      assertThat(emulated.launches()).isEqualTo(3);
    }
  }
}
