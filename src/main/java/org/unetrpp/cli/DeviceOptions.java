package org.unetrpp.cli;

import org.unetrpp.engine.Device;
import org.unetrpp.engine.DeviceUnavailableException;
import org.unetrpp.engine.Engine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.Spec.Target;

/** Where and how precisely a network runs. */
final class DeviceOptions {
  /** Type of activations. */
  enum Precision {
    FP32,
    BF16
  }

  @Spec(Target.MIXEE)
  private CommandSpec command = CommandSpec.create();

  @Option(
      names = "--device",
      paramLabel = "auto|cpu|cuda",
      description = "Where the network runs (default: auto).",
      defaultValue = "auto")
  private Device device = new Device.Cpu();

  @Option(
      names = "--precision",
      paramLabel = "fp32|bf16",
      description = "Type of activations (default: fp32); the CPU computes in fp32 only.",
      defaultValue = "fp32")
  private Precision precision = Precision.FP32;

  private int threads = Engine.defaultThreads();

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads of the CPU (default: all processors). Results do not depend on it.")
  void setThreads(int count) {
    if (count < 1) {
      throw new ParameterException(
          command.commandLine(), "--threads is " + count + ", expected 1 or more");
    }
    threads = count;
  }

  /**
   * The chosen device.
   *
   * @throws DeviceUnavailableException if it cannot compute in the chosen precision
   */
  Device device() {
    if (precision == Precision.BF16 && device instanceof Device.Cpu) {
      throw new DeviceUnavailableException(
          "cpu: computes in fp32 only; bf16 would be slower and less exact there");
    }
    return device;
  }

  int threads() {
    return threads;
  }
}
