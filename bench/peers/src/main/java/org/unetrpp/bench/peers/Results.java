package org.unetrpp.bench.peers;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.benchmark.Spread;

/**
 * The record of one comparison. Times are wall-clock seconds, memory is in bytes.
 *
 * @param what was compared: {@code forward} or {@code training}
 * @param commit of the sources that were measured
 * @param command that runs the same comparison
 * @param date when it ended, UTC, ISO 8601
 * @param machine where it ran
 * @param java version of the JVM of all processes that have one
 * @param jvmOptions of the contestants' processes
 * @param variant name of the network
 * @param batch patches of a pass
 * @param threads of each contestant
 * @param foreignLimit share of all processors above which other processes make a pass unclean
 * @param foreignProcesses busy processes of the comparison's own during the loaded passes
 * @param cleanRounds rounds whose passes are all clean
 * @param overAllRounds whether no round was clean, so that medians and ratios are of all rounds
 * @param contestants in the order of their passes
 * @param ratios of all pairs
 */
record Results(
    String what,
    String commit,
    String command,
    String date,
    Machine machine,
    String java,
    List<String> jvmOptions,
    String variant,
    int batch,
    int threads,
    double foreignLimit,
    int foreignProcesses,
    int cleanRounds,
    boolean overAllRounds,
    List<Entry> contestants,
    List<Ratio> ratios) {
  /** A machine, as its Linux describes it. */
  record Machine(String processor, int processors, long memoryBytes, String kernel) {}

  /**
   * One contestant.
   *
   * @param settings environment and options that set its process apart
   * @param largestError of a forward pass: largest difference of its logits from those expected,
   *     relative to the largest absolute value expected; of a training step: the larger relative
   *     error of loss and gradient norm
   * @param rmsError root mean square of the same differences, relative to the same
   * @param openingPeakResidentBytes largest resident memory until it was open
   * @param passPeakResidentBytes largest resident memory in the passes
   * @param medianSeconds of the passes of the rounds that count
   * @param fastestSeconds of the same passes
   * @param medianCpuSeconds processor time of the same passes
   * @param medianMinorFaults page faults of the same passes
   * @param medianLoadedSeconds of the loaded passes of the same rounds, if there are any
   * @param slowdown how many times as long a loaded pass takes as the quiet one of the same round
   * @param warmups passes before the first round
   * @param passes one a round, with no load of the comparison's own
   * @param loadedPasses one a round, beside the foreign processes; none without those
   */
  record Entry(
      String name,
      String version,
      List<String> settings,
      double largestError,
      double rmsError,
      long openingPeakResidentBytes,
      long passPeakResidentBytes,
      double medianSeconds,
      double fastestSeconds,
      double medianCpuSeconds,
      double medianMinorFaults,
      @Nullable Double medianLoadedSeconds,
      @Nullable Spread slowdown,
      List<Pass> warmups,
      List<Pass> passes,
      List<Pass> loadedPasses) {}

  /**
   * One forward pass or training step.
   *
   * @param seconds its time
   * @param cpuSeconds processor time of the contestant's process
   * @param minorFaults page faults of the contestant without a disk
   * @param majorFaults page faults of the contestant with a disk
   * @param foreignCpuSeconds processor time of all other processes but the comparison's own
   * @param stolenCpuSeconds processor time that the host gave to other virtual machines
   * @param loadCpuSeconds processor time of the comparison's own foreign processes
   * @param loadAverage of the last minute, before the pass
   * @param clean whether the foreign and stolen time is within the limit
   */
  record Pass(
      double seconds,
      double cpuSeconds,
      long minorFaults,
      long majorFaults,
      double foreignCpuSeconds,
      double stolenCpuSeconds,
      double loadCpuSeconds,
      double loadAverage,
      boolean clean) {}

  /**
   * How many times as long one contestant takes as another, from pairs of the same round.
   *
   * @param name whose time is divided
   * @param by whose time divides
   */
  record Ratio(String name, String by, double median, double smallest, double largest) {}
}
