package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.backend.cuda.driver.CudaException;
import org.unetrpp.backend.cuda.driver.Cudnn;
import org.unetrpp.backend.cuda.driver.Cudnn.Direction;
import org.unetrpp.backend.cuda.driver.Precision;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

class ProvidersTest {
  private final List<String> log = new ArrayList<>();
  private final HostCudnn cudnn = new HostCudnn();
  private final HostCublas cublas = new HostCublas();
  @TempDir private Path folder;

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
  }

  @AfterEach
  void forgetProperties() {
    System.clearProperty(Providers.CONVOLUTIONS);
    System.clearProperty(Providers.PRODUCTS);
    System.clearProperty(Providers.TUNING);
  }

  private Providers both() {
    return new Providers(
        (_, _) -> cudnn,
        (_, _) -> cublas,
        true,
        Precision.FLOAT32,
        () -> Optional.of(folder),
        log::add);
  }

  @Test
  void librariesAreClosedWithTheProviders() {
    try (EmulatedContext emulated = new EmulatedContext()) {
      try (Providers.Opened opened = both().open(emulated.context())) {
        assertThat(opened.convolutions().name()).isEqualTo("measured");
        assertThat(opened.products().name()).isEqualTo("measured");
      }
    }
    assertThat(cudnn.closed).isTrue();
    assertThat(cublas.closed).isTrue();
    assertThat(log).isEmpty();
  }

  @Test
  void librariesAreClosedWithTheBackend() {
    new CudaBackend(new EmulatedDriver(0), DType.FLOAT32, both()).close();
    assertThat(cudnn.closed).isTrue();
    assertThat(cublas.closed).isTrue();
  }

  @Test
  void withoutLibrariesOwnKernelsComputeEverything() {
    try (EmulatedContext emulated = new EmulatedContext();
        Providers.Opened opened = Providers.own().open(emulated.context())) {
      assertThat(opened.convolutions()).isInstanceOf(OwnConvolutions.class);
      assertThat(opened.products()).isInstanceOf(OwnMatrixProducts.class);
    }
  }

  @Test
  void propertiesTurnLibrariesOff() {
    System.setProperty(Providers.CONVOLUTIONS, "own");
    System.setProperty(Providers.PRODUCTS, "own");
    try (EmulatedContext emulated = new EmulatedContext();
        Providers.Opened opened = both().open(emulated.context())) {
      assertThat(opened.convolutions()).isInstanceOf(OwnConvolutions.class);
      assertThat(opened.products()).isInstanceOf(OwnMatrixProducts.class);
      assertThat(opened.libraries()).isEmpty();
    }
  }

  private record Split(int count) {}

  private List<Split> launchesOfAChoice() {
    List<Split> launched = new ArrayList<>();
    try (EmulatedContext emulated = new EmulatedContext();
        Providers.Opened _ = both().open(emulated.context())) {
      Split shape = new Split(0);
      List<Split> candidates = List.of(new Split(1), new Split(2));
      emulated.context().tuner().choose("file", "kernel", shape, candidates, launched::add);
    }
    return launched;
  }

  @Test
  void launchesAreTunedOnceForEachDevice() {
    assertThat(launchesOfAChoice()).contains(new Split(1), new Split(2));
    assertThat(folder.resolve("tuning-emulated-device-12-driver-13000.json")).isRegularFile();
    assertThat(launchesOfAChoice()).isEmpty();
  }

  @Test
  void launchesAreAsExpectedIfThatIsAskedFor() {
    System.setProperty(Providers.TUNING, "expected");
    assertThat(launchesOfAChoice()).isEmpty();
    assertThat(folder).isEmptyDirectory();
    System.setProperty(Providers.TUNING, "guessed");
    assertThatThrownBy(this::launchesOfAChoice)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("unetrpp.cuda.tuning is 'guessed', expected expected or measured");
  }

  @Test
  void rejectsAPropertyThatMeansNothing() {
    System.setProperty(Providers.PRODUCTS, "cudnn");
    try (EmulatedContext emulated = new EmulatedContext()) {
      assertThatThrownBy(() -> both().open(emulated.context()))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("unetrpp.cuda.products is 'cudnn', expected own, cublas or measured");
    }
  }

  private Providers withoutCudnn() {
    Providers.Opener<Cudnn> missing =
        new Providers.Opener<>() {
          @Override
          public Cudnn open(CudaDriver driver, CudaDriver.Stream stream) {
            throw new AssertionError("opened");
          }

          @Override
          public String missing() {
            return "libcudnn.so.9 was not found";
          }
        };
    return new Providers(
        missing, (_, _) -> cublas, false, Precision.FLOAT32, Optional::empty, log::add);
  }

  @Test
  void missingLibraryIsNotSaid() {
    try (EmulatedContext emulated = new EmulatedContext();
        Providers.Opened opened = withoutCudnn().open(emulated.context())) {
      assertThat(opened.convolutions()).isInstanceOf(OwnConvolutions.class);
      assertThat(opened.products().name()).isEqualTo("measured");
      assertThat(log).isEmpty();
    }
  }

  @Test
  void missingLibraryThatIsAskedForIsSaid() {
    System.setProperty(Providers.CONVOLUTIONS, "cudnn");
    try (EmulatedContext emulated = new EmulatedContext();
        Providers.Opened _ = withoutCudnn().open(emulated.context())) {
      assertThat(log)
          .containsExactly("without cuDNN, which was asked for: libcudnn.so.9 was not found");
    }
  }

  @Test
  void librariesThatDoNotOpenAreDoneWithout() {
    Providers providers =
        new Providers(
            (_, _) -> {
              throw new UnsatisfiedLinkError("libcudnn.so.9");
            },
            (_, _) -> {
              throw new CudaException("cublasCreate: code 1");
            },
            false,
            Precision.FLOAT32,
            () -> Optional.of(folder),
            log::add);
    try (EmulatedContext emulated = new EmulatedContext();
        Providers.Opened opened = providers.open(emulated.context())) {
      assertThat(opened.convolutions()).isInstanceOf(OwnConvolutions.class);
      assertThat(opened.products()).isInstanceOf(OwnMatrixProducts.class);
      assertThat(log)
          .containsExactly("without cuDNN: libcudnn.so.9", "without cuBLAS: cublasCreate: code 1");
    }
  }

  /** This machine has none, or it has them and they refuse a stream that is not theirs. */
  @Test
  void librariesOfThisMachineDoNotWorkOnAnEmulatedDevice() {
    try (EmulatedContext emulated = new EmulatedContext();
        Providers.Opened opened =
            Providers.ofThisMachine(Precision.FLOAT32).open(emulated.context())) {
      assertThat(opened.libraries()).isEmpty();
    }
  }

  @Test
  void backendComputesByTheLibraryThatIsAskedFor() {
    System.setProperty(Providers.CONVOLUTIONS, "cudnn");
    Grid grid = new Grid(1, new Extents(3, 4, 5));
    Random random = new Random(1);
    try (CudaBackend backend =
            new CudaBackend(new EmulatedDriver(1L << 28), DType.FLOAT32, both());
        var _ = backend.scopes().open()) {
      Buffer x = upload(backend, random, grid.rows() * 2);
      Buffer weight = upload(backend, random, 3 * 2 * 27);
      Buffer bias = upload(backend, random, 3);
      Buffer y = backend.scopes().allocate(DType.FLOAT32, grid.rows() * 3);
      Buffer expected = backend.scopes().allocate(DType.FLOAT32, grid.rows() * 3);
      backend.convolution(x, weight, bias, y, grid, Convolution.same3(2, 3));
      new ReferenceConvolutions()
          .forward(x, weight, Epilogue.of(bias), expected, grid, Convolution.same3(2, 3));
      assertThat(backend.download(y))
          .usingComparatorWithPrecision(1e-5f) // sums of 54 products below 1
          .containsExactly(backend.download(expected));
    }
    assertThat(cudnn.runs).hasSize(3); // to find the algorithm, to compare it, and the real one
    assertThat(log).isEmpty();
  }

  private static Buffer upload(CudaBackend backend, Random random, long count) {
    float[] values = EmulatedContext.random(random, DType.FLOAT32, count);
    Buffer buffer = backend.scopes().allocate(DType.FLOAT32, count);
    backend.upload(values, buffer);
    return buffer;
  }

  /** Without a library, and where nothing is measured. */
  @Test
  void tensorCoresComputeWhatTheyCanWhereTheyAreAskedFor() {
    System.setProperty(Providers.CONVOLUTIONS, "tensor");
    try (CudaBackend backend = new CudaBackend(new EmulatedDriver(1L << 28), DType.BFLOAT16)) {
      CudaContext context = backend.context();
      requireSameBytes(backend, new TensorConvolutions(context), 16);
      requireSameBytes(backend, new OwnConvolutions(context), 12);
    }
  }

  private static void requireSameBytes(CudaBackend backend, Convolutions as, int channels) {
    Grid grid = new Grid(2, new Extents(3, 4, 5));
    ConvolutionWork work =
        new ConvolutionWork(
            Direction.FORWARD,
            DType.BFLOAT16,
            Precision.FLOAT32,
            grid,
            Convolution.same3(channels, channels));
    try (var _ = backend.scopes().open()) {
      Work.Trial<Convolutions> trial = work.trial(new RandomValues(backend.context()));
      Buffer y = trial.output();
      trial.run(backend.convolutions(), y);
      Buffer expected = trial.output();
      trial.run(as, expected);
      assertThat(backend.download(y)).containsExactly(backend.download(expected));
    }
  }

  @Test
  void measuringComparesOwnKernelsTensorCoresAndCudnn() throws IOException {
    ConvolutionWork work =
        new ConvolutionWork(
            Direction.FORWARD,
            DType.BFLOAT16,
            Precision.FLOAT32,
            new Grid(1, Extents.cube(4)),
            Convolution.same3(8, 8));
    try (EmulatedContext emulated = new EmulatedContext();
        Providers.Opened opened = both().open(emulated.context());
        var _ = emulated.context().scopes().open()) {
      Work.Trial<Convolutions> trial = work.trial(new RandomValues(emulated.context()));
      trial.run(opened.convolutions(), trial.output());
    }
    String name = "emulated-device-tensor-2-cudnn-91600-cublas-130100-float32.json";
    assertThat(Files.readString(folder.resolve(name)))
        .contains("\"own\"", "\"tensor\"", "\"cudnn\"")
        .contains("\"problems\": {}");
    assertThat(log).isEmpty();
  }

  @Test
  void tensorCoresAreNotUsedWhereNothingIsMeasured() {
    try (EmulatedContext emulated = new EmulatedContext();
        Providers.Opened opened = Providers.own().open(emulated.context())) {
      assertThat(opened.convolutions()).isInstanceOf(OwnConvolutions.class);
    }
  }

  @Test
  void cudnnIsNotOpenedWhereTensorCoresAreAskedFor() {
    System.setProperty(Providers.CONVOLUTIONS, "tensor");
    try (EmulatedContext emulated = new EmulatedContext();
        Providers.Opened opened = both().open(emulated.context())) {
      assertThat(opened.convolutions().name()).isEqualTo("measured");
      assertThat(opened.libraries()).hasSize(1); // cuBLAS
    }
  }

  /** The whole way of a convolution: tried, compared, kept in the file of these versions. */
  @ParameterizedTest(name = "{0}")
  @EnumSource(Direction.class)
  void choiceOfTheFileOutlivesTheProcess(Direction direction) {
    Grid grid = new Grid(1, new Extents(4, 4, 4));
    Convolution shape = Convolution.same3(8, 8);
    ConvolutionWork work =
        new ConvolutionWork(direction, DType.BFLOAT16, Precision.FLOAT32, grid, shape);
    Path file = folder.resolve("emulated-device-cudnn-91600-cublas-none-float32.json");
    for (int process = 0; process < 2; process++) {
      HostCudnn library = new HostCudnn();
      try (EmulatedContext emulated = new EmulatedContext()) {
        CudaContext context = emulated.context();
        ChoiceTable table = ChoiceTable.of(file, log::add);
        var cudnnConvolutions = new CudnnConvolutions(context, library, Precision.FLOAT32, table);
        int[] timed = {0};
        Stopwatch stopwatch = _ -> 2.0 - timed[0]++; // the second is quicker
        var measured =
            new MeasuredConvolutions(
                new ProviderChoice<>(
                    context,
                    Policy.MEASURED,
                    new OwnConvolutions(context),
                    List.of(cudnnConvolutions),
                    stopwatch,
                    table,
                    log::add),
                Precision.FLOAT32);
        try (cudnnConvolutions;
            var _ = context.scopes().open()) {
          Work.Trial<Convolutions> trial = work.trial(new RandomValues(context));
          Buffer output = trial.output();
          trial.run(measured, output);
          Buffer expected = trial.output();
          trial.run(new ReferenceConvolutions(), expected);
          assertThat(new ComparisonKernels(context).compare(output, expected).relative())
              .isLessThan(4e-3);
          assertThat(timed[0]).isEqualTo(process == 0 ? 2 : 0);
          assertThat(library.measured).isEqualTo(process == 0 ? 1 : 0);
          assertThat(library.runs).hasSize(process == 0 ? 3 : 1);
        }
      }
    }
    assertThat(log).isEmpty();
  }
}
