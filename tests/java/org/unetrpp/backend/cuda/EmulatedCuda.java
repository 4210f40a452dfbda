package org.unetrpp.backend.cuda;

import com.google.errorprone.annotations.MustBeClosed;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.TrainingBoxes;
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.backend.cuda.driver.CudaException;
import org.unetrpp.backend.cuda.driver.JcudaDriver;
import org.unetrpp.backend.cuda.driver.Precision;
import org.unetrpp.backend.cuda.driver.TimedDriver;
import org.unetrpp.memory.DType;

/**
 * The CUDA backend on a device that the processor plays. With {@code -Dunetrpp.tests.cuda=0} the
 * same tests run on the first GPU of the machine instead.
 */
public final class EmulatedCuda {
  /** What a machine lacks that cannot play a device. */
  public static final String NEEDS = "needs g++ on an x86-64 Linux";

  private static final long MEMORY = 8L << 30;
  private static final byte POISON = (byte) 0xFF; // NaN in every type

  /** Number of the GPU that tests run on, if they do. */
  static final @Nullable Integer GPU = Integer.getInteger("unetrpp.tests.cuda");

  private EmulatedCuda() {}

  /** Keeps the GPU's context, which would be made anew for each backend, for all of them. */
  private static final class Held {
    static final CudaDriver DRIVER = JcudaDriver.open(Objects.requireNonNull(GPU));
  }

  /** Whether this machine can play a device: it needs g++ on an x86-64 Linux. */
  public static boolean isPossible() {
    return GPU != null || HostKernels.arePossible();
  }

  /**
   * A backend whose every fresh buffer is full of NaN, and if emulated lies between guard pages;
   * then threads take turns from the last to the first in bfloat16, so that a barrier that a kernel
   * lacks is missed by one of the two types.
   */
  @MustBeClosed
  public static CudaBackend open(DType computeType) {
    return open(computeType, computeType == DType.BFLOAT16);
  }

  /**
   * The same with another order.
   *
   * @param backwards whether an emulated device's threads take turns from the last to the first
   */
  @MustBeClosed
  public static CudaBackend open(DType computeType, boolean backwards) {
    return open(computeType, backwards, Providers.own());
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the backend closes the driver
  private static CudaBackend open(DType computeType, boolean backwards, Providers providers) {
    CudaDriver driver = GPU == null ? new EmulatedDriver(MEMORY, backwards) : poisonedGpu();
    return new CudaBackend(driver, computeType, DeviceMemory.unpooled(driver), providers);
  }

  /**
   * The same in bfloat16, with all convolutions on tensor cores that they can compute; one that
   * differs from what other kernels compute fails the test.
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the caller closes it
  public static CudaBackend openOnTensorCores(boolean backwards) {
    return onTensorCores(providers -> open(DType.BFLOAT16, backwards, providers));
  }

  /** A backend with own kernels alone, those for tensor cores wherever they can compute. */
  static CudaBackend onTensorCores(Function<Providers, CudaBackend> opener) {
    Providers providers =
        new Providers(
            new Missing<>(),
            new Missing<>(),
            true,
            Precision.FLOAT32,
            Optional::empty,
            line -> {
              throw new AssertionError(line);
            });
    return insistingOn(TensorConvolutions.NAME, () -> opener.apply(providers));
  }

  /** The same in bfloat16, with nothing on tensor cores. */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the caller closes it
  public static CudaBackend openOffTensorCores() {
    return insistingOn("own", () -> open(DType.BFLOAT16));
  }

  private static CudaBackend insistingOn(String convolutions, Supplier<CudaBackend> opener) {
    System.setProperty(Providers.CONVOLUTIONS, convolutions);
    try {
      return opener.get();
    } finally {
      System.clearProperty(Providers.CONVOLUTIONS);
    }
  }

  /**
   * An emulated device of some memory, which counts what is allocated, and whose work runs as late
   * as it may.
   */
  public static TimedDriver late(long bytes) {
    return new TimedDriver(EmulatedDriver.late(bytes));
  }

  private record Missing<L>() implements Providers.Opener<L> {
    @Override
    public L open(CudaDriver driver, CudaDriver.Stream stream) {
      throw new CudaException(missing());
    }

    @Override
    public String missing() {
      return "an emulated device has no libraries";
    }
  }

  /**
   * The boxes of a device in training mode, with primitives that may be watched.
   *
   * @param primitives on the memory of {@code backend}
   */
  public static TrainingBoxes trainingBoxes(CudaBackend backend, Backend primitives) {
    return new CudaTrainingBoxes(backend, primitives);
  }

  /** The GPU with fresh memory that is full of NaN, as an emulated device's is. */
  private static CudaDriver poisonedGpu() {
    CudaDriver driver = JcudaDriver.open(Held.DRIVER.device().ordinal());
    CudaDriver.Stream stream = driver.createStream();
    return (CudaDriver)
        Proxy.newProxyInstance(
            CudaDriver.class.getClassLoader(),
            new Class<?>[] {CudaDriver.class},
            (_, method, arguments) -> {
              Object result;
              try {
                result = method.invoke(driver, arguments);
              } catch (InvocationTargetException e) {
                throw e.getTargetException();
              }
              if (method.getName().equals("allocate")) {
                long address = (long) Objects.requireNonNull(result);
                driver.fill(address, POISON, (long) Objects.requireNonNull(arguments)[0], stream);
                driver.synchronize(stream);
              }
              return result;
            });
  }
}
