package org.unetrpp.backend.cpu.machine;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import java.util.function.Function;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.backend.cpu.CpuBackend;
import org.unetrpp.backend.cpu.machine.WinogradConvolution.Steps;
import org.unetrpp.grid.Extents;

class WinogradConvolutionTest {
  private static final int BATCH = 2;
  private static final float SLOPE = 0.01f;
  private static final int GUARD = 64;

  @BeforeEach
  void thereIsAvx512() {
    try (CpuBackend backend = new CpuBackend(1)) {
      assumeTrue(backend.capabilities().ownKernels(), "no AVX-512 or no code at run time");
    }
  }

  /** Values of one case and what a plain sum in double makes of them. */
  private record Case(int in, int out, Extents extents, Steps steps) {
    private float[] random(int seed, long count, double scale) {
      Random random = new Random(seed);
      float[] values = new float[Math.toIntExact(count)];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) (scale * random.nextGaussian());
      }
      return values;
    }

    float[] x() {
      return random(1, BATCH * extents.voxels() * in, 1);
    }

    float[] affine() {
      return random(2, 3L * BATCH * in, 1);
    }

    float[] weights() {
      return random(3, 27L * in * out, 1 / Math.sqrt(27.0 * in));
    }

    float[] bias() {
      return random(4, out, 1);
    }

    float[] addend() {
      return random(5, BATCH * extents.voxels() * out, 1);
    }

    private double[] inputs() {
      float[] x = x();
      float[] affine = affine();
      double[] inputs = new double[x.length];
      for (int i = 0; i < x.length; i++) {
        int item = i / (x.length / BATCH);
        int at = 3 * item * in + i % in;
        double value = x[i];
        if (steps.normalizing()) {
          value = (value - affine[at]) * affine[at + in] + affine[at + 2 * in];
          value = Math.max(value, value * steps.slopeBefore());
        }
        inputs[i] = value;
      }
      return inputs;
    }

    double[] expected() {
      double[] x = inputs();
      float[] weights = weights();
      float[] bias = bias();
      float[] addend = addend();
      double[] y = new double[addend.length];
      int[] size = {extents.depth(), extents.height(), extents.width()};
      for (int i = 0; i < y.length; i++) {
        int channel = i % out;
        int voxel = i / out;
        int w = voxel % size[2];
        int h = voxel / size[2] % size[1];
        int d = voxel / size[2] / size[1] % size[0];
        double sum = (steps.bias() ? bias[channel] : 0) + (steps.addend() ? addend[i] : 0);
        for (int tap = 0; tap < 27; tap++) {
          int dz = tap / 9 - 1;
          int dy = tap / 3 % 3 - 1;
          int dx = tap % 3 - 1;
          if (isInside(d + dz, size[0]) && isInside(h + dy, size[1]) && isInside(w + dx, size[2])) {
            int from = (voxel + (dz * size[1] + dy) * size[2] + dx) * in;
            for (int c = 0; c < in; c++) {
              sum += x[from + c] * weights[(channel * in + c) * 27 + tap];
            }
          }
        }
        y[i] = Math.max(sum, sum * steps.slopeAfter());
      }
      return y;
    }

    private static boolean isInside(int at, int size) {
      return at >= 0 && at < size;
    }

    /**
     * Largest error allowed. A sum of n products of normal values and weights of variance 1 / (27
     * Cin) has a standard deviation of 1, half of it in 27 Cin / 4 roundings; with the transforms'
     * growth of 2 and 6 standard deviations for the largest of a hundred thousand outputs.
     */
    double tolerance() {
      double scale = steps.normalizing() ? 4 : 1; // inputs are products of normal values
      return scale * 6 * 2 * Math.sqrt(27.0 * in / 4) * Math.ulp(1f) / 2;
    }
  }

  private static float[] run(Case c, Function<WinogradConvolution, long[]> order) {
    try (Arena arena = Arena.ofConfined();
        WinogradConvolution convolution =
            new WinogradConvolution(c.in(), c.out(), c.extents(), c.steps())) {
      MemorySegment packed = arena.allocate(convolution.weightBytes(), 64);
      double[] halves = new double[convolution.groupChannels()];
      Arrays.fill(halves, 0.5);
      float[] weights = c.weights();
      int perGroup = weights.length / convolution.groups();
      for (int group = 0; group < convolution.groups(); group++) {
        float[] own = Arrays.copyOfRange(weights, group * perGroup, (group + 1) * perGroup);
        for (int i = 0; i < own.length; i++) {
          own[i] *= 2; // which the scales undo
        }
        float[] scratch = new float[convolution.groupValues()];
        convolution.pack(group, own, halves, packed.address(), scratch);
      }
      MemorySegment y = poisoned(arena, 4L * c.addend().length + 2 * GUARD);
      MemorySegment scratch = poisoned(arena, convolution.scratchBytes() + GUARD);
      Operands operands =
          new Operands(
              arena.allocateFrom(JAVA_FLOAT, c.x()).address(),
              arena.allocateFrom(JAVA_FLOAT, c.affine()).address(),
              packed.address(),
              arena.allocateFrom(JAVA_FLOAT, c.bias()).address(),
              arena.allocateFrom(JAVA_FLOAT, c.addend()).address(),
              y.address() + GUARD);
      WinogradConvolution.Pass pass = convolution.pass();
      boolean[] seen = new boolean[Math.toIntExact(BATCH * c.extents().voxels())];
      for (long task : order.apply(convolution)) {
        pass.run(
            (int) task,
            scratch.address(),
            operands,
            (address, voxel, voxels) -> {
              assertThat(address).isEqualTo(operands.y() + voxel * c.out() * Float.BYTES);
              assertThat(convolution.followedVoxels()).contains(voxels);
              for (int i = 0; i < voxels; i++) {
                assertThat(seen[(int) voxel + i]).isFalse();
                seen[(int) voxel + i] = true;
              }
            });
      }
      assertThat(seen).doesNotContain(false);
      assertThat(isPoison(y.asSlice(0, GUARD))).isTrue();
      assertThat(isPoison(y.asSlice(y.byteSize() - GUARD))).isTrue();
      assertThat(isPoison(scratch.asSlice(scratch.byteSize() - GUARD))).isTrue();
      return y.asSlice(GUARD, y.byteSize() - 2 * GUARD).toArray(JAVA_FLOAT);
    }
  }

  private static MemorySegment poisoned(Arena arena, long bytes) {
    return arena.allocate(bytes, 64).fill((byte) 0xFF);
  }

  private static boolean isPoison(MemorySegment segment) {
    return segment.mismatch(MemorySegment.ofArray(filled(segment.byteSize()))) < 0;
  }

  private static byte[] filled(long bytes) {
    byte[] poison = new byte[(int) bytes];
    Arrays.fill(poison, (byte) 0xFF);
    return poison;
  }

  private static long[] forwards(WinogradConvolution convolution) {
    long[] tasks = new long[convolution.tasks(BATCH)];
    Arrays.setAll(tasks, i -> i);
    return tasks;
  }

  private static long[] backwards(WinogradConvolution convolution) {
    long[] tasks = forwards(convolution);
    Arrays.setAll(tasks, i -> tasks.length - 1 - i);
    return tasks;
  }

  @ParameterizedTest(name = "{0} to {1} channels, {2}x{3}x{4}: normalizing {5}, bias {6}, sum {7}")
  @CsvSource({
    "16, 16, 1, 1, 1, false, false, false",
    "16, 16, 2, 3, 4, false, false, false",
    "16, 32, 3, 5, 7, true, false, false",
    "16, 16, 5, 37, 161, true, false, false", // several strips of rows, the last shorter
    "32, 16, 4, 6, 9, false, true, false",
    "32, 32, 9, 8, 8, false, true, true",
    "48, 32, 2, 4, 5, false, true, true",
    "64, 64, 4, 10, 10, false, true, true", // long sums, taken plane by plane
    "128, 96, 3, 5, 6, true, true, true"
  })
  void equalsThePlainSum(
      int in, int out, int d, int h, int w, boolean normalizing, boolean bias, boolean addend) {
    Steps steps = new Steps(normalizing, SLOPE, bias, addend, addend ? SLOPE : 1);
    Case c = new Case(in, out, new Extents(d, h, w), steps);
    double[] expected = c.expected();
    float[] actual = run(c, WinogradConvolutionTest::forwards);
    double largest = 0;
    for (int i = 0; i < expected.length; i++) {
      assertThat(actual[i]).isNotNaN();
      largest = Math.max(largest, Math.abs(actual[i] - expected[i]));
    }
    assertThat(largest).isLessThan(c.tolerance());
  }

  @Test
  void theOrderOfTasksChangesNothing() {
    Case c = new Case(32, 32, new Extents(6, 30, 50), new Steps(true, SLOPE, true, true, SLOPE));
    assertThat(run(c, WinogradConvolutionTest::backwards))
        .containsExactly(run(c, WinogradConvolutionTest::forwards));
  }

  @Test
  void takesWholeVectorsOfChannelsOnly() {
    assertThat(WinogradConvolution.takes(16, 32)).isTrue();
    assertThat(WinogradConvolution.takes(1, 16)).isFalse();
    assertThat(WinogradConvolution.takes(16, 24)).isFalse();
    Steps plain = new Steps(false, 1, false, false, 1);
    assertThatThrownBy(() -> new WinogradConvolution(4, 16, Extents.cube(8), plain).close())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("4 to 16 channels, expected multiples of 16");
  }
}
