package org.unetrpp.engine;

import com.google.errorprone.annotations.MustBeClosed;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.cpu.CpuBackend;
import org.unetrpp.backend.cuda.CudaBackend;
import org.unetrpp.backend.cuda.Providers;
import org.unetrpp.backend.cuda.driver.CudaDevices;
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.backend.cuda.driver.CudaException;
import org.unetrpp.backend.cuda.driver.JcudaDriver;
import org.unetrpp.backend.cuda.driver.Precision;
import org.unetrpp.memory.DType;

/** Opens the backend of a device. */
public final class Engine {
  private Engine() {}

  /**
   * Opens a device that computes in float32.
   *
   * @param threads threads of the CPU backend, 1 or more
   * @throws DeviceUnavailableException if this machine or this build does not have it
   */
  @MustBeClosed
  public static Backend open(Device device, int threads) {
    return open(device, threads, DType.FLOAT32);
  }

  /**
   * Opens a device.
   *
   * @param threads threads of the CPU backend, 1 or more
   * @param computeType of activations: float32, or bfloat16 on a GPU
   * @throws DeviceUnavailableException if this machine or this build does not have it, or it does
   *     not compute in that type
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the caller closes what is returned
  public static Backend open(Device device, int threads, DType computeType) {
    return switch (device) {
      case Device.Cpu() -> openCpu(threads, computeType);
      case Device.Cuda(int ordinal) -> openCuda(ordinal, computeType);
    };
  }

  @MustBeClosed
  private static Backend openCpu(int threads, DType computeType) {
    if (computeType != DType.FLOAT32) {
      throw new DeviceUnavailableException(
          "cpu: computes in fp32 only; bf16 would be slower and less exact there");
    }
    try {
      return new CpuBackend(threads);
    } catch (LinkageError e) {
      throw new DeviceUnavailableException("cpu: " + e.getMessage(), e);
    }
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the backend closes the driver
  private static Backend openCuda(int ordinal, DType computeType) {
    CudaDriver driver;
    try {
      driver = JcudaDriver.open(ordinal);
    } catch (CudaException e) {
      throw new DeviceUnavailableException("cuda:%d: %s".formatted(ordinal, e.getMessage()), e);
    }
    try {
      return new CudaBackend(driver, computeType, Providers.ofThisMachine(Precision.FLOAT32));
    } catch (RuntimeException e) {
      driver.close();
      throw e;
    }
  }

  /** What this machine can compute on, and what is missing where it cannot: lines for people. */
  public static List<String> report() {
    List<String> lines = new ArrayList<>();
    try (CpuBackend cpu = new CpuBackend(defaultThreads())) {
      lines.add("cpu: usable, " + capabilities(cpu));
    } catch (LinkageError e) {
      lines.add("cpu: not usable: " + e.getMessage());
    }
    lines.addAll(CudaDevices.ofThisMachine().report());
    return lines;
  }

  /** What a backend computes on and with: a line for people. */
  public static String describe(Backend backend) {
    if (backend instanceof CpuBackend cpu) {
      return "cpu: " + capabilities(cpu);
    }
    return CudaDevices.ofThisMachine().report().stream()
        .filter(line -> line.startsWith(backend.name() + ":"))
        .findFirst()
        .orElse(backend.name());
  }

  private static String capabilities(CpuBackend cpu) {
    CpuBackend.Capabilities capabilities = cpu.capabilities();
    return "%d threads, oneDNN %s with %s%s"
        .formatted(
            capabilities.threads(),
            capabilities.oneDnnVersion(),
            capabilities.instructionSet(),
            capabilities.ownKernels() ? ", own convolutions" : "");
  }

  /**
   * Why no GPU of a machine with an NVIDIA driver can be used; nothing if one can, or if the
   * machine has no such driver.
   */
  public static Optional<String> whyNoGpu() {
    return CudaDevices.ofThisMachine().surprise();
  }

  /** Threads that the CPU backend uses unless told otherwise: all processors of this machine. */
  public static int defaultThreads() {
    return Runtime.getRuntime().availableProcessors();
  }
}
