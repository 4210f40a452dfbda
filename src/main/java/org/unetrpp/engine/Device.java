package org.unetrpp.engine;

/** Where a network runs. */
public sealed interface Device {
  /** The processor of this machine. */
  record Cpu() implements Device {}

  /** An NVIDIA GPU. */
  record Cuda(int ordinal) implements Device {}

  /**
   * The device of a name: {@code cpu}, {@code cuda}, {@code cuda:1}, or {@code auto}, which is the
   * best device that this machine has.
   *
   * @throws IllegalArgumentException if the name is none of these
   */
  static Device of(String name) {
    if (name.equals("auto") || name.equals("cpu")) {
      return new Cpu(); // the only device there is an engine for yet
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
