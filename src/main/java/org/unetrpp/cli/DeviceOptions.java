package org.unetrpp.cli;

import java.util.ArrayList;
import java.util.List;
import org.unetrpp.engine.Device;
import org.unetrpp.engine.DeviceUnavailableException;
import org.unetrpp.engine.Engine;
import org.unetrpp.memory.DType;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.Spec.Target;

/** Where and how precisely a network runs. */
final class DeviceOptions {
  private static final String AUTO = "auto";

  /** Type of activations. */
  enum Precision {
    FP32,
    BF16
  }

  @Spec(Target.MIXEE)
  private CommandSpec command = CommandSpec.create();

  private String name = AUTO;

  @Option(
      names = "--device",
      paramLabel = "auto|cpu|cuda",
      description = "Where the network runs (default: auto).")
  void setDevice(String value) {
    if (!value.equals(AUTO)) { // which one that is takes a look at the machine
      try {
        Device.of(value);
      } catch (IllegalArgumentException e) {
        throw new ParameterException(command.commandLine(), e.getMessage());
      }
    }
    name = value;
  }

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
   * @param console is told if a machine with an NVIDIA driver has no GPU that can be used
   * @throws DeviceUnavailableException if it cannot compute in the chosen precision
   */
  Device device(Console console) {
    Device device = Device.of(name);
    if (precision == Precision.BF16 && device instanceof Device.Cpu) {
      throw new DeviceUnavailableException(
          "cpu: computes in fp32 only; bf16 would be slower and less exact there");
    }
    if (name.equals(AUTO)) {
      Engine.whyNoGpu().ifPresent(reason -> console.warn("runs on the CPU; cuda: " + reason));
    }
    return device;
  }

  /** Type of activations, for people. */
  String precision() {
    return switch (precision) {
      case FP32 -> "fp32";
      case BF16 -> "bf16";
    };
  }

  /** Type of activations. */
  DType computeType() {
    return switch (precision) {
      case FP32 -> DType.FLOAT32;
      case BF16 -> DType.BFLOAT16;
    };
  }

  /** The options that say where and how precisely, where they are not the default. */
  List<String> words() {
    List<String> words = new ArrayList<>();
    if (!name.equals(AUTO)) {
      words.addAll(List.of("--device", name));
    }
    if (precision == Precision.BF16) {
      words.addAll(List.of("--precision", "bf16"));
    }
    return words;
  }

  int threads() {
    return threads;
  }
}
