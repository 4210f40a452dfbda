package org.unetrpp.backend.cuda;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.cuda.driver.Cublas;
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.backend.cuda.driver.CudaException;
import org.unetrpp.backend.cuda.driver.Cudnn;
import org.unetrpp.backend.cuda.driver.DeviceProperties;
import org.unetrpp.backend.cuda.driver.JcudaCublas;
import org.unetrpp.backend.cuda.driver.JcudaCudnn;
import org.unetrpp.backend.cuda.driver.JcudaStream;
import org.unetrpp.backend.cuda.driver.Precision;
import org.unetrpp.backend.cuda.natives.CudaLibraries;
import org.unetrpp.backend.cuda.natives.CudaLibrary;
import org.unetrpp.backend.cuda.natives.PrivateFolder;
import org.unetrpp.memory.DeviceMemoryException;

/**
 * Who computes convolutions and matrix products: own kernels that compute everything, or own
 * kernels for tensor cores and NVIDIA's libraries where they are quicker. The system property
 * {@value #CONVOLUTIONS} says {@code own}, {@code tensor}, {@code cudnn} or {@code measured},
 * {@value #PRODUCTS} says {@code own}, {@code cublas} or {@code measured}. Likewise, how own
 * kernels are launched: {@value #TUNING} says {@code expected} or {@code measured}.
 */
public final class Providers {
  static final String CONVOLUTIONS = "unetrpp.cuda.convolutions";
  static final String PRODUCTS = "unetrpp.cuda.products";
  static final String TUNING = "unetrpp.cuda.tuning";

  private static final String CUDNN = "cudnn";
  private static final String CUBLAS = "cublas";

  private final Opener<Cudnn> cudnn;
  private final Opener<Cublas> cublas;
  private final boolean tensorCores;
  private final Precision precision;
  private final Supplier<Optional<Path>> folder;
  private final Consumer<String> log;

  /**
   * Opens a library for a stream of a device.
   *
   * @param <L> the library
   */
  interface Opener<L> {
    /**
     * The library.
     *
     * @throws CudaException if it refuses
     * @throws LinkageError if a part of it is missing
     */
    L open(CudaDriver driver, CudaDriver.Stream stream);

    /** Why there is no library, or nothing if there is. */
    default @Nullable String missing() {
      return null;
    }
  }

  /**
   * Providers.
   *
   * @param tensorCores whether own kernels for tensor cores take part where convolutions are
   *     measured, and launches are tuned if what is measured can be kept
   * @param folder keeps what was measured for the next run, if there is one
   * @param log takes what may surprise, a line each
   */
  Providers(
      Opener<Cudnn> cudnn,
      Opener<Cublas> cublas,
      boolean tensorCores,
      Precision precision,
      Supplier<Optional<Path>> folder,
      Consumer<String> log) {
    this.cudnn = cudnn;
    this.cublas = cublas;
    this.tensorCores = tensorCores;
    this.precision = precision;
    this.folder = folder;
    this.log = log;
  }

  /**
   * Own kernels for everything, and nothing measured: those for tensor cores where {@value
   * #CONVOLUTIONS} asks for them.
   */
  public static Providers own() {
    return new Providers(
        new None<>(), new None<>(), false, Precision.FLOAT32, Optional::empty, _ -> {});
  }

  /**
   * The quickest of own kernels and the libraries of this machine, for each shape. What was
   * measured is kept in {@code ~/.cache/unetrpp/providers}.
   *
   * @param precision of products of float32
   */
  public static Providers ofThisMachine(Precision precision) {
    return onThisMachine(
        new OnThisMachine<>(CudaLibrary.CUDNN, (_, stream) -> new JcudaCudnn(jcuda(stream))),
        new OnThisMachine<>(
            CudaLibrary.CUBLAS,
            (driver, stream) -> new JcudaCublas(driver, jcuda(stream), precision)),
        precision);
  }

  /**
   * The quickest of own kernels for each shape, with nothing of a library. What was measured is
   * kept as of {@link #ofThisMachine}.
   */
  public static Providers ownOfThisMachine() {
    return onThisMachine(new None<>(), new None<>(), Precision.FLOAT32);
  }

  private static Providers onThisMachine(
      Opener<Cudnn> cudnn, Opener<Cublas> cublas, Precision precision) {
    System.Logger logger = System.getLogger(Providers.class.getPackageName());
    return new Providers(
        cudnn,
        cublas,
        true,
        precision,
        () ->
            PrivateFolder.lasting(
                PrivateFolder.ofCache(System.getenv(), System.getProperty("user.home", "."))
                    .resolve("providers")),
        line -> logger.log(System.Logger.Level.WARNING, line));
  }

  private static JcudaStream jcuda(CudaDriver.Stream stream) {
    if (stream instanceof JcudaStream jcuda) {
      return jcuda;
    }
    throw new CudaException("it works on streams of JCuda only");
  }

  /** A library that is not wanted. */
  private record None<L>() implements Opener<L> {
    @Override
    public L open(CudaDriver driver, CudaDriver.Stream stream) {
      throw new CudaException(missing());
    }

    @Override
    public String missing() {
      return "only own kernels are provided";
    }
  }

  /** A library that may be installed. */
  private record OnThisMachine<L>(CudaLibrary library, Opener<L> opener) implements Opener<L> {
    @Override
    public L open(CudaDriver driver, CudaDriver.Stream stream) {
      return opener.open(driver, stream);
    }

    @Override
    public @Nullable String missing() {
      return CudaLibraries.ofThisProcess().use(library).problem();
    }
  }

  /**
   * Providers of one backend.
   *
   * @param libraries what is to be closed with it
   */
  record Opened(
      Convolutions convolutions, MatrixProducts products, List<? extends Library<?, ?>> libraries)
      implements AutoCloseable {
    @Override
    public void close() {
      libraries.forEach(Library::close);
    }
  }

  /** Opens the libraries; without one that fails, which is said. */
  Opened open(CudaContext context) {
    Policy convolutionPolicy = Policy.of(CONVOLUTIONS, TensorConvolutions.NAME, CUDNN);
    Policy productPolicy = Policy.of(PRODUCTS, CUBLAS);
    boolean withTensorCores =
        Policy.allows(CONVOLUTIONS, TensorConvolutions.NAME)
            && (tensorCores || convolutionPolicy == Policy.LIBRARY);
    Cudnn openedCudnn =
        Policy.allows(CONVOLUTIONS, CUDNN)
            ? open("cuDNN", cudnn, convolutionPolicy, context)
            : null;
    Cublas openedCublas =
        Policy.allows(PRODUCTS, CUBLAS) ? open("cuBLAS", cublas, productPolicy, context) : null;
    ChoiceTable table = table(context, withTensorCores, openedCudnn, openedCublas);
    Stopwatch stopwatch = new EventStopwatch(context.driver(), context.stream());
    if (tensorCores) {
      tune(context, stopwatch);
    }

    List<Library<?, ?>> libraries = new ArrayList<>();
    List<Library<Convolutions, ConvolutionWork>> competitors = new ArrayList<>();
    if (withTensorCores) {
      competitors.add(new TensorConvolutions(context));
    }
    if (openedCudnn != null) {
      var library = new CudnnConvolutions(context, openedCudnn, precision, table);
      libraries.add(library);
      competitors.add(library);
    }
    Convolutions convolutions = new OwnConvolutions(context);
    if (!competitors.isEmpty()) {
      convolutions =
          new MeasuredConvolutions(
              new ProviderChoice<>(
                  context, convolutionPolicy, convolutions, competitors, stopwatch, table, log),
              precision);
    }
    MatrixProducts products = new OwnMatrixProducts(context);
    if (openedCublas != null) {
      var library = new CublasMatrixProducts(context, openedCublas);
      libraries.add(library);
      products =
          new MeasuredMatrixProducts(
              new ProviderChoice<>(
                  context, productPolicy, products, List.of(library), stopwatch, table, log),
              precision);
    }
    return new Opened(convolutions, products, libraries);
  }

  private <L> @Nullable L open(String name, Opener<L> opener, Policy policy, CudaContext context) {
    String missing = opener.missing();
    if (missing != null) {
      if (policy == Policy.LIBRARY) { // else it is one of the many machines without
        log.accept("without %s, which was asked for: %s".formatted(name, missing));
      }
      return null;
    }
    try {
      return opener.open(context.driver(), context.stream());
    } catch (CudaException | DeviceMemoryException | LinkageError e) {
      log.accept("without %s: %s".formatted(name, e.getMessage()));
      return null;
    }
  }

  private void tune(CudaContext context, Stopwatch stopwatch) {
    DeviceProperties device = context.driver().device();
    context.tuner().follow(ChoiceTable.shipped("tuning-%s.json".formatted(device.architecture())));
    boolean measures =
        switch (System.getProperty(TUNING, "measured")) {
          case "measured" -> true;
          case "expected" -> false;
          case String value ->
              throw new IllegalArgumentException(
                  "%s is '%s', expected expected or measured".formatted(TUNING, value));
        };
    Optional<Path> keeping = measures ? folder.get() : Optional.empty();
    if (keeping.isPresent()) {
      String name =
          "tuning-%s-%d-driver-%d.json"
              .formatted(fileName(device.name()), device.multiprocessors(), device.driverVersion());
      context.tuner().measure(stopwatch, ChoiceTable.of(keeping.get().resolve(name), log));
    }
  }

  private static String fileName(String device) {
    return device.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]+", "-");
  }

  private ChoiceTable table(
      CudaContext context,
      boolean withTensorCores,
      @Nullable Cudnn openedCudnn,
      @Nullable Cublas openedCublas) {
    boolean chooses = withTensorCores || openedCudnn != null || openedCublas != null;
    Optional<Path> keeping = chooses ? folder.get() : Optional.empty();
    if (keeping.isEmpty()) {
      return ChoiceTable.inMemory();
    }
    String device = fileName(context.driver().device().name());
    String name =
        "%s-tensor-%s-cudnn-%s-cublas-%s-%s.json"
            .formatted(
                device,
                withTensorCores ? TensorConvolutions.VERSION : "none",
                openedCudnn == null ? "none" : openedCudnn.version(),
                openedCublas == null ? "none" : openedCublas.version(),
                precision.label());
    return ChoiceTable.of(keeping.get().resolve(name), log);
  }
}
