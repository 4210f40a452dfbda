package org.unetrpp.bench.peers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** What Linux tells under {@code /proc} about processes and the machine. */
final class ProcFiles {
  /** Length of the clock ticks in which Linux reports processor time to programs, in seconds. */
  private static final double TICK_SECONDS = 0.01;

  private static final long KIB = 1024;
  private static final Path PROC = Path.of("/proc");

  private ProcFiles() {}

  /**
   * One process so far.
   *
   * @param minorFaults page faults served without reading from a disk
   * @param majorFaults page faults that read from a disk
   * @param cpuSeconds processor time of all its threads, user and system
   */
  record ProcessUse(long minorFaults, long majorFaults, double cpuSeconds) {}

  /**
   * All processors so far.
   *
   * @param busySeconds processor time spent in any process or interrupt
   * @param stolenSeconds processor time that the host gave to other virtual machines
   */
  record MachineUse(double busySeconds, double stolenSeconds) {
    /** What was used since {@code earlier}. */
    MachineUse minus(MachineUse earlier) {
      return new MachineUse(
          busySeconds - earlier.busySeconds, stolenSeconds - earlier.stolenSeconds);
    }

    /** Processor time that is not to be had: busy or stolen. */
    double takenSeconds() {
      return busySeconds + stolenSeconds;
    }
  }

  static ProcessUse process(long pid) {
    return parseProcess(read(PROC.resolve(Long.toString(pid)).resolve("stat")));
  }

  /** Parses {@code /proc/PID/stat}, whose second field, a name in brackets, may hold blanks. */
  static ProcessUse parseProcess(String stat) {
    List<String> fields = List.of(stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1));
    // The list starts with field 3 of proc_pid_stat(5).
    long minorFaults = Long.parseLong(fields.get(10 - 3));
    long majorFaults = Long.parseLong(fields.get(12 - 3));
    long ticks = Long.parseLong(fields.get(14 - 3)) + Long.parseLong(fields.get(15 - 3));
    return new ProcessUse(minorFaults, majorFaults, ticks * TICK_SECONDS);
  }

  static MachineUse machine() {
    return parseMachine(read(PROC.resolve("stat")));
  }

  /** Parses the first line of {@code /proc/stat}. */
  static MachineUse parseMachine(String stat) {
    String[] fields = stat.lines().findFirst().orElse("").split("\\s+", -1);
    if (fields.length < 9 || !fields[0].equals("cpu")) {
      throw new IllegalArgumentException(
          "/proc/stat starts with %s, expected a line 'cpu' with eight numbers"
              .formatted(List.of(fields)));
    }
    long user = Long.parseLong(fields[1]) + Long.parseLong(fields[2]);
    long system = Long.parseLong(fields[3]) + Long.parseLong(fields[6]) + Long.parseLong(fields[7]);
    return new MachineUse((user + system) * TICK_SECONDS, Long.parseLong(fields[8]) * TICK_SECONDS);
  }

  /** The load average of the last minute. */
  static double loadAverage() {
    String load = read(PROC.resolve("loadavg"));
    return Double.parseDouble(load.substring(0, load.indexOf(' ')));
  }

  /** The largest resident memory of this process since its start or the last reset, in bytes. */
  static long peakResidentBytes() {
    return kibibytes(PROC.resolve("self/status"), "VmHWM:") * KIB;
  }

  /** Starts {@link #peakResidentBytes} anew from the memory that is resident now. */
  static void resetPeakResident() {
    try {
      Files.writeString(PROC.resolve("self/clear_refs"), "5");
    } catch (IOException e) {
      throw new UncheckedIOException("the peak of resident memory cannot be reset", e);
    }
  }

  /** The machine's memory in bytes. */
  static long memoryBytes() {
    return kibibytes(PROC.resolve("meminfo"), "MemTotal:") * KIB;
  }

  /** The processor's name. */
  static String processorModel() {
    return read(PROC.resolve("cpuinfo"))
        .lines()
        .filter(line -> line.startsWith("model name"))
        .map(line -> line.substring(line.indexOf(':') + 1).strip())
        .findFirst()
        .orElse("unknown");
  }

  private static long kibibytes(Path file, String key) {
    return read(file)
        .lines()
        .filter(line -> line.startsWith(key))
        .map(line -> line.substring(key.length()).replace("kB", "").strip())
        .mapToLong(Long::parseLong)
        .findFirst()
        .orElseThrow(() -> new IllegalStateException(file + ": no line " + key));
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(file + ": cannot be read", e);
    }
  }
}
