package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.ComparisonKernels.Difference;
import org.unetrpp.backend.cuda.driver.CudaException;
import org.unetrpp.backend.cuda.driver.Cudnn.Direction;
import org.unetrpp.backend.cuda.driver.Precision;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** All around the calls of cuDNN, which itself is played by the host. */
class CudnnConvolutionsTest {
  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
  }

  static Stream<ConvolutionWork> works() {
    Grid small = new Grid(2, new Extents(3, 5, 4));
    Grid even = new Grid(2, new Extents(4, 8, 4));
    Convolution odd =
        new Convolution(5, 7, new Extents(2, 3, 1), new Extents(1, 2, 1), new Extents(0, 1, 2));
    return Stream.of(DType.FLOAT32, DType.BFLOAT16)
        .flatMap(dtype ->
            Stream.of(Direction.values())
                .flatMap(direction ->
                    Stream.of(
                        work(direction, dtype, small, Convolution.same3(8, 16)),
                        work(direction, dtype, small, Convolution.pointwise(16, 8)),
                        work(direction, dtype, small, odd),
                        work(
                            direction,
                            dtype,
                            even,
                            Convolution.patches(8, 24, new Extents(2, 4, 4))))));
  }

  private static ConvolutionWork work(
      Direction direction, DType dtype, Grid grid, Convolution shape) {
    return new ConvolutionWork(direction, dtype, Precision.FLOAT32, grid, shape);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("works")
  void agreesWithTheDefinition(ConvolutionWork work) {
    try (EmulatedContext emulated = new EmulatedContext()) {
      CudaContext context = emulated.context();
      try (CudnnConvolutions cudnn = cudnn(context, new HostCudnn());
          var _ = context.scopes().open()) {
        Work.Trial<Convolutions> trial = work.trial(new RandomValues(context));
        Buffer expected = trial.output();
        trial.run(new ReferenceConvolutions(), expected);
        for (int i = 0; i < 2; i++) { // the first time tries the algorithms
          Buffer actual = trial.output();
          trial.run(cudnn, actual);
          Difference difference = new ComparisonKernels(context).compare(actual, expected);
          assertThat(difference.relative()).isLessThan(work.tolerance());
        }
      }
    }
  }

  private static CudnnConvolutions cudnn(CudaContext context, HostCudnn library) {
    return new CudnnConvolutions(context, library, Precision.FLOAT32, ChoiceTable.inMemory());
  }

  private static void run(CudaContext context, Convolutions convolutions, ConvolutionWork work) {
    try (var _ = context.scopes().open()) {
      Work.Trial<Convolutions> trial = work.trial(new RandomValues(context));
      trial.run(convolutions, trial.output());
    }
  }

  @ParameterizedTest(name = "{0}")
  @EnumSource(Direction.class)
  void quickestDeterministicAlgorithmOfLittleWorkspaceIsFoundOnceForEachShape(Direction direction) {
    HostCudnn library = new HostCudnn();
    ChoiceTable table = ChoiceTable.inMemory();
    ConvolutionWork work =
        work(direction, DType.FLOAT32, new Grid(1, Extents.cube(2)), Convolution.same3(2, 3));
    try (EmulatedContext emulated = new EmulatedContext()) {
      CudaContext context = emulated.context();
      try (var cudnn = new CudnnConvolutions(context, library, Precision.FLOAT32, table)) {
        run(context, cudnn, work);
        run(context, cudnn, work);
        assertThat(library.measured).isEqualTo(1);
        assertThat(library.runs).containsOnly(HostCudnn.GOOD);
        assertThat(table.algorithm(work.key())).hasValue(HostCudnn.GOOD);
        run(
            context,
            cudnn,
            work(direction, DType.FLOAT32, new Grid(2, Extents.cube(2)), work.shape()));
        assertThat(library.measured).isEqualTo(2);
        assertThat(library.plans).hasSize(2);
      }
      assertThat(library.plans).isEmpty();
      assertThat(library.closed).isTrue();
    }
  }

  @ParameterizedTest(name = "algorithm {0}, tried {1} times")
  @CsvSource({"3, 0, 3", "1, 1, 2", "4, 1, 2", "5, 1, 2", "-1, 1, 2"})
  void algorithmOfTheTableIsTakenIfItIsUsable(int known, int measured, int used) {
    HostCudnn library = new HostCudnn();
    ChoiceTable table = ChoiceTable.inMemory();
    ConvolutionWork work =
        work(
            Direction.FORWARD,
            DType.FLOAT32,
            new Grid(1, Extents.cube(2)),
            Convolution.same3(2, 3));
    table.chooseAlgorithm(work.key(), known);
    try (EmulatedContext emulated = new EmulatedContext();
        var cudnn = new CudnnConvolutions(emulated.context(), library, Precision.FLOAT32, table)) {
      run(emulated.context(), cudnn, work);
      assertThat(library.measured).isEqualTo(measured);
      assertThat(library.runs.getLast()).isEqualTo(used);
    }
  }

  @Test
  void withoutADeterministicAlgorithmItFails() {
    HostCudnn library = new HostCudnn();
    ConvolutionWork work =
        work(
            Direction.FORWARD,
            DType.FLOAT32,
            new Grid(1, Extents.cube(2)),
            Convolution.same3(2, 3));
    library.onlyVarying = true;
    try (EmulatedContext emulated = new EmulatedContext();
        CudnnConvolutions cudnn = cudnn(emulated.context(), library)) {
      assertThatThrownBy(() -> run(emulated.context(), cudnn, work))
          .isInstanceOf(CudaException.class)
          .hasMessageContaining("no deterministic algorithm");
      assertThat(library.plans).isEmpty();
    }
  }

  @ParameterizedTest(name = "{1} to {2} channels of {0} at {3}^3, {4}, cuDNN {5}: {6}")
  @CsvSource({
    "FLOAT32, 1, 16, 64, FLOAT32, 91002, true",
    "FLOAT32, 3, 14, 8, FLOAT32, 8907, true",
    "FLOAT32, 16, 16, 8, TENSOR_FLOAT32, 8907, true",
    "FLOAT32, 16, 16, 8, TENSOR_FLOAT32, 91002, false",
    "FLOAT32, 16, 16, 8, TENSOR_FLOAT32, 91600, true",
    "BFLOAT16, 16, 16, 8, FLOAT32, 91002, true",
    "BFLOAT16, 1, 16, 8, FLOAT32, 91600, false",
    "BFLOAT16, 16, 14, 8, FLOAT32, 91600, false",
    "BFLOAT16, 16, 8, 512, FLOAT32, 91600, false",
    "FLOAT64, 16, 16, 8, FLOAT32, 91600, false",
  })
  void takesWhatTheLibraryComputesRight(
      DType dtype, int in, int out, int edge, Precision precision, long version, boolean taken) {
    HostCudnn library = new HostCudnn();
    library.version = version;
    try (EmulatedContext emulated = new EmulatedContext();
        var cudnn =
            new CudnnConvolutions(emulated.context(), library, precision, ChoiceTable.inMemory())) {
      ConvolutionWork work =
          new ConvolutionWork(
              Direction.FORWARD,
              dtype,
              precision,
              new Grid(1, Extents.cube(edge)),
              Convolution.same3(in, out));
      assertThat(cudnn.refusal(work) == null).isEqualTo(taken);
    }
  }

  @Test
  void whatFollowsAndTheGradientOfTheBiasAreAdded() {
    Grid grid = new Grid(2, new Extents(2, 3, 4));
    Convolution shape = Convolution.pointwise(3, 5);
    Random random = new Random(1);
    try (EmulatedContext emulated = new EmulatedContext()) {
      CudaContext context = emulated.context();
      try (CudnnConvolutions cudnn = cudnn(context, new HostCudnn());
          var _ = context.scopes().open()) {
        Buffer x =
            emulated.buffer(
                DType.FLOAT32, EmulatedContext.random(random, DType.FLOAT32, grid.rows() * 3));
        Buffer weight =
            emulated.buffer(DType.FLOAT32, EmulatedContext.random(random, DType.FLOAT32, 15));
        Buffer bias =
            emulated.buffer(DType.FLOAT32, EmulatedContext.random(random, DType.FLOAT32, 5));
        Buffer y = context.scopes().allocate(DType.FLOAT32, grid.rows() * 5);
        Buffer expected = context.scopes().allocate(DType.FLOAT32, grid.rows() * 5);
        Buffer addend =
            emulated.buffer(
                DType.FLOAT32, EmulatedContext.random(random, DType.FLOAT32, grid.rows() * 5));
        for (Epilogue epilogue :
            List.of(
                Epilogue.NONE,
                Epilogue.of(bias),
                new Epilogue(null, addend, 1),
                new Epilogue(bias, addend, 0.25))) {
          cudnn.forward(x, weight, epilogue, y, grid, shape);
          new ReferenceConvolutions().forward(x, weight, epilogue, expected, grid, shape);
          assertThat(new ComparisonKernels(context).compare(y, expected).relative())
              .isLessThan(1e-6);
        }

        float[] sums = {1, 2, 3, 4, 5};
        Buffer dbias = emulated.buffer(DType.FLOAT32, sums);
        Buffer dweight = emulated.buffer(DType.FLOAT32, new float[15]);
        cudnn.backwardWeights(x, y, dweight, dbias, grid, shape);
        float[] dy = EmulatedContext.values(y);
        for (int i = 0; i < dy.length; i++) {
          sums[i % 5] += dy[i];
        }
        assertThat(EmulatedContext.values(dbias))
            .usingComparatorWithPrecision(1e-5f)
            .containsExactly(sums);
      }
    }
  }

  @Test
  void keysTellWorkApart() {
    Map<String, ConvolutionWork> byKey = new HashMap<>();
    works().forEach(work -> assertThat(byKey.put(work.key(), work)).isNull());
    assertThat(byKey)
        .containsKey(
            "convolution backward data bf16 2x4x8x4, 8 to 24 channels, kernel 2x4x4,"
                + " stride 2x4x4, padding 0x0x0");
  }
}
