package org.unetrpp.bench.peers;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;

/** Foreign processes that keep processors busy when they are told to. */
final class Spinners implements AutoCloseable {
  private record Foreign(Process process, BufferedWriter commands, BufferedReader replies) {}

  private final List<Foreign> processes = new ArrayList<>();

  private Spinners() {}

  /** Starts so many processes, which rest. */
  static Spinners start(int count) {
    Spinners spinners = new Spinners();
    try {
      for (int i = 0; i < count; i++) {
        Process process =
            new ProcessBuilder(
                    WorkerProcess.java(),
                    "-Xmx16m",
                    "-XX:+UseSerialGC",
                    "-classpath",
                    System.getProperty("java.class.path"),
                    Spinner.class.getName())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        spinners.processes.add(new Foreign(process, process.outputWriter(), process.inputReader()));
      }
    } catch (IOException e) {
      spinners.close();
      throw new UncheckedIOException("a foreign process cannot be started", e);
    }
    return spinners;
  }

  /** Lets all work, each on one processor, until {@link #rest}. */
  void spin() {
    tell(Spinner.SPIN);
  }

  /** Lets all rest. */
  void rest() {
    tell(Spinner.REST);
  }

  /** Processor time that all have used so far. */
  double cpuSeconds() {
    return processes.stream()
        .mapToDouble(foreign -> ProcFiles.process(foreign.process.pid()).cpuSeconds())
        .sum();
  }

  private void tell(String command) {
    try {
      for (Foreign foreign : processes) {
        foreign.commands.write(command);
        foreign.commands.newLine();
        foreign.commands.flush();
        String reply = foreign.replies.readLine();
        if (!Spinner.DONE.equals(reply)) {
          throw new IllegalStateException(
              "a foreign process says %s, expected %s".formatted(reply, Spinner.DONE));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException("a foreign process has ended", e);
    }
  }

  @Override
  public void close() {
    processes.forEach(foreign -> foreign.process.destroy());
  }
}
