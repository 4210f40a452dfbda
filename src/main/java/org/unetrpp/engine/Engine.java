package org.unetrpp.engine;

import com.google.errorprone.annotations.MustBeClosed;
import java.util.ArrayList;
import java.util.List;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.cpu.CpuBackend;

/** Opens the backend of a device. */
public final class Engine {
  private Engine() {}

  /**
   * Opens a device.
   *
   * @param threads threads of the CPU backend, 1 or more
   * @throws DeviceUnavailableException if this machine or this build does not have it
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the caller closes what is returned
  public static Backend open(Device device, int threads) {
    return switch (device) {
      case Device.Cpu() -> openCpu(threads);
      case Device.Cuda(int ordinal) ->
          throw new DeviceUnavailableException(
              "cuda:%d: the CUDA engine is not built in yet; use --device cpu".formatted(ordinal));
    };
  }

  @MustBeClosed
  private static Backend openCpu(int threads) {
    try {
      return new CpuBackend(threads);
    } catch (LinkageError e) {
      throw new DeviceUnavailableException("cpu: " + e.getMessage(), e);
    }
  }

  /** What this machine can compute on, and what is missing where it cannot: lines for people. */
  public static List<String> report() {
    List<String> lines = new ArrayList<>();
    try (CpuBackend cpu = new CpuBackend(defaultThreads())) {
      CpuBackend.Capabilities capabilities = cpu.capabilities();
      lines.add(
          "cpu: usable, %d threads, oneDNN %s with %s"
              .formatted(
                  capabilities.threads(),
                  capabilities.oneDnnVersion(),
                  capabilities.instructionSet()));
    } catch (LinkageError e) {
      lines.add("cpu: not usable: " + e.getMessage());
    }
    lines.add("cuda: not usable: the CUDA engine is not built in yet");
    return lines;
  }

  /** Threads that the CPU backend uses unless told otherwise: all processors of this machine. */
  public static int defaultThreads() {
    return Runtime.getRuntime().availableProcessors();
  }
}
