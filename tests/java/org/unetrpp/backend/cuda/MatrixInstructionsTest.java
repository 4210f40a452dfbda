package org.unetrpp.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.backend.cuda.driver.CudaException;
import org.unetrpp.backend.cuda.driver.KernelArguments;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.HostMemory;

/** What {@code kernels/mma.cuh} does on the host, lane by lane, against plain loops. */
class MatrixInstructionsTest {
  private static final int ROWS = 16;
  private static final int INNER = 16;
  private static final int COLUMNS = 8;
  private static final int LANES = 32;

  private final Random random = new Random(5);

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(HostKernels.arePossible(), EmulatedCuda.NEEDS);
  }

  private static void launch(EmulatedContext on, String entry, KernelArguments arguments) {
    on.context().launch("probes", entry, LaunchGeometry.blocks(1, LANES), arguments);
  }

  @ParameterizedTest(name = "backwards {0}")
  @ValueSource(booleans = {false, true})
  void productOfMatricesIsThatOfLoopsInTheirOrder(boolean backwards) {
    try (EmulatedContext emulated = new EmulatedContext(backwards);
        var _ = emulated.context().scopes().open()) {
      float[] a = EmulatedContext.random(random, DType.BFLOAT16, ROWS * INNER);
      float[] b = EmulatedContext.random(random, DType.BFLOAT16, INNER * COLUMNS);
      float[] c = EmulatedContext.random(random, DType.FLOAT32, ROWS * COLUMNS);
      Buffer sums = emulated.buffer(DType.FLOAT32, c);
      launch(
          emulated,
          "probe_multiply_add",
          emulated
              .context()
              .arguments(
                  emulated.buffer(DType.BFLOAT16, a), emulated.buffer(DType.BFLOAT16, b), sums));
      for (int row = 0; row < ROWS; row++) {
        for (int column = 0; column < COLUMNS; column++) {
          for (int k = 0; k < INNER; k++) {
            c[row * COLUMNS + column] += a[row * INNER + k] * b[k * COLUMNS + column];
          }
        }
      }
      assertThat(EmulatedContext.values(sums)).containsExactly(c);
    }
  }

  @ParameterizedTest(name = "transposed {0}, rows in reverse {1}, backwards {2}")
  @CsvSource({
    "false, false, false",
    "true, false, false",
    "false, true, false",
    "true, true, true",
    "false, false, true",
    "true, false, true"
  })
  void lanesGetTheirPairsOfEachMatrix(boolean transposed, boolean reversed, boolean backwards) {
    try (EmulatedContext emulated = new EmulatedContext(backwards);
        var _ = emulated.context().scopes().open()) {
      float[] x = EmulatedContext.random(random, DType.BFLOAT16, 4 * 64);
      Buffer y = emulated.context().floats(4 * LANES);
      launch(
          emulated,
          "probe_matrices",
          emulated
              .context()
              .arguments(emulated.buffer(DType.BFLOAT16, x))
              .ints(transposed ? 1 : 0, reversed ? 1 : 0)
              .buffers(y));
      for (int matrix = 0; matrix < 4; matrix++) {
        for (int lane = 0; lane < LANES; lane++) {
          int pair = HostMemory.segment(y).getAtIndex(JAVA_INT, matrix * LANES + lane);
          for (int i = 0; i < 2; i++) {
            int outer = lane / 4;
            int inner = lane % 4 * 2 + i;
            int row = transposed ? inner : outer;
            int column = transposed ? outer : inner;
            int at = matrix * 64 + (reversed ? 7 - row : row) * 8 + column;
            assertThat(BFloat16.toFloat((short) (pair >>> (16 * i)))).isEqualTo(x[at]);
          }
        }
      }
    }
  }

  @ParameterizedTest(name = "backwards {0}")
  @ValueSource(booleans = {false, true})
  void copiesAreThereBehindTheirWaitAndABarrier(boolean backwards) {
    assertThat(copy(backwards, true)).containsExactly(copied());
  }

  /** Copies that nobody waits for may be there, as on a device. */
  @ParameterizedTest(name = "backwards {0}")
  @ValueSource(booleans = {false, true})
  void copiesThatNobodyWaitsForAreMissedInOneOfBothOrders(boolean backwards) {
    if (backwards) {
      assertThat(copy(true, false)).containsOnly(Float.NaN);
    } else {
      assertThat(copy(false, false)).containsExactly(copied());
    }
  }

  private static float[] ascending() {
    float[] x = new float[3 * LANES * 4];
    for (int i = 0; i < x.length; i++) {
      x[i] = i;
    }
    return x;
  }

  /** What each thread reads is its neighbor's; half of the second group is not there. */
  private static float[] copied() {
    float[] x = ascending();
    float[] y = new float[x.length];
    for (int i = 0; i < y.length; i++) {
      int group = i / (LANES * 4);
      int thread = i / 4 % LANES;
      y[i] = group == 1 && thread >= LANES / 2 ? 0 : x[i ^ 4];
    }
    return y;
  }

  private static float[] copy(boolean backwards, boolean waiting) {
    try (EmulatedContext emulated = new EmulatedContext(backwards);
        var _ = emulated.context().scopes().open()) {
      Buffer y = emulated.context().floats(3 * LANES * 4);
      launch(
          emulated,
          "probe_copies",
          emulated
              .context()
              .arguments(emulated.buffer(DType.FLOAT32, ascending()), y)
              .ints(waiting ? 1 : 0));
      return EmulatedContext.values(y);
    }
  }

  @ParameterizedTest(name = "{0} threads copy, backwards {1}")
  @CsvSource({"32, false", "32, true", "11, true"})
  void fewBytesAreCopiedAndPairsAreRounded(int there, boolean backwards) {
    try (EmulatedContext emulated = new EmulatedContext(backwards);
        var _ = emulated.context().scopes().open()) {
      float[] x = EmulatedContext.random(random, DType.FLOAT32, 3 * LANES);
      Buffer y = emulated.context().floats(x.length);
      Buffer pairs = emulated.context().floats(LANES);
      launch(
          emulated,
          "probe_small_copies",
          emulated.context().arguments(emulated.buffer(DType.FLOAT32, x), y, pairs).ints(there));
      float[] copied = EmulatedContext.values(y);
      for (int i = 0; i < x.length; i++) {
        int from = i ^ 1;
        int thread = from < LANES ? from : (from - LANES) / 2;
        assertThat(copied[i]).isEqualTo(thread < there ? x[from] : 0);
      }
      for (int lane = 0; lane < LANES; lane++) {
        int pair = HostMemory.segment(pairs).getAtIndex(JAVA_INT, lane);
        assertThat((short) pair).isEqualTo(BFloat16.fromFloat(x[2 * lane]));
        assertThat((short) (pair >>> 16)).isEqualTo(BFloat16.fromFloat(x[2 * lane + 1]));
      }
    }
  }

  @ParameterizedTest(name = "backwards {0}")
  @ValueSource(booleans = {false, true})
  void aCopyFromAnAddressThatIsNotAlignedIsReported(boolean backwards) {
    try (EmulatedContext emulated = new EmulatedContext(backwards);
        var _ = emulated.context().scopes().open()) {
      Buffer x = emulated.buffer(DType.FLOAT32, new float[3 * LANES * 4 + 1]).slice(1, 384);
      Buffer y = emulated.context().floats(3 * LANES * 4);
      assertThatThrownBy(
              () -> launch(emulated, "probe_copies", emulated.context().arguments(x, y).ints(1)))
          .isInstanceOf(CudaException.class)
          .hasMessageContaining("a misaligned access");
    }
  }
}
