package org.unetrpp.engine;

import java.util.OptionalInt;
import org.unetrpp.backend.cuda.driver.CudaDevices;

/** Where a network runs. */
public sealed interface Device {
  /** The processor of this machine. */
  record Cpu() implements Device {}

  /** An NVIDIA GPU. */
  record Cuda(int ordinal) implements Device {}

  /**
   * The device of a name: {@code cpu}, {@code cuda}, {@code cuda:1}, or {@code auto}, which is the
   * best device that this machine has: the first NVIDIA GPU that can be used, else the processor.
   *
   * @throws IllegalArgumentException if the name is none of these
   */
  static Device of(String name) {
    if (name.equals("auto")) {
      OptionalInt gpu = CudaDevices.ofThisMachine().firstUsable();
      return gpu.isPresent() ? new Cuda(gpu.getAsInt()) : new Cpu();
    }
    if (name.equals("cpu")) {
      return new Cpu();
    }
    if (name.equals("cuda")) {
      return new Cuda(0);
    }
    if (name.matches("cuda:\\d{1,3}")) {
      return new Cuda(Integer.parseInt(name.substring("cuda:".length())));
    }
    throw new IllegalArgumentException(
        "device '%s' is unknown, expected auto, cpu, cuda or cuda:N".formatted(name));
  }
}
