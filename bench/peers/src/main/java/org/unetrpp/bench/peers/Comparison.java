package org.unetrpp.bench.peers;

import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import org.unetrpp.benchmark.Spread;

/**
 * Contestants in processes of their own that make their passes in turn, A B C A B C, so that what
 * the machine does meanwhile meets them all. Only one computes at a time. What every contestant
 * computes is held against what is expected before anything is timed. With foreign processes each
 * round has a second turn, A B C, beside them.
 */
final class Comparison {
  /** Share of all processors that other processes may take in a clean pass. */
  private static final double FOREIGN_LIMIT = 0.05;

  /**
   * Error that ends a comparison: of logits relative to their largest absolute value, of loss and
   * gradient norm relative to themselves. Float32 leaves some 1e-5.
   */
  private static final double LARGEST_ERROR = 1e-3;

  private final Plan plan;
  private final Consumer<String> progress;
  private final int processors = Runtime.getRuntime().availableProcessors();
  private final List<Side> sides = new ArrayList<>();

  /**
   * What is to be done.
   *
   * @param contestants in the order of their passes
   * @param setup what each is opened with
   * @param launch how each one's process is started
   * @param warmups passes before the first round, of which there is one or more
   * @param rounds clean rounds wanted
   * @param mostRounds rounds after which it ends in any case
   * @param foreignProcesses busy processes beside the second turn of each round; without any, there
   *     is no second turn
   * @param patienceSeconds how long each round and warm-up may wait for other processes to rest
   * @param commit of the sources
   * @param command that runs the same comparison
   */
  record Plan(
      List<ContestantKind> contestants,
      Setup setup,
      Launch launch,
      int warmups,
      int rounds,
      int mostRounds,
      int foreignProcesses,
      int patienceSeconds,
      String commit,
      String command) {
    Plan {
      contestants = List.copyOf(contestants);
      if (contestants.isEmpty()) {
        throw new IllegalArgumentException("contestants are empty, expected one or more");
      }
      if (warmups < 1 || rounds < 1 || mostRounds < rounds) {
        throw new IllegalArgumentException(
            "%d warm-ups, %d rounds, at most %d: expected 1 or more, 1 or more, at least the rounds"
                .formatted(warmups, rounds, mostRounds));
      }
      if (foreignProcesses < 0) {
        throw new IllegalArgumentException(
            "%d foreign processes, expected 0 or more".formatted(foreignProcesses));
      }
      for (ContestantKind kind : contestants) {
        if (!kind.does(setup.what())) {
          throw new IllegalArgumentException(
              "%s has no %s, expected one of %s"
                  .formatted(
                      kind.label(),
                      setup.what().label(),
                      Arrays.stream(ContestantKind.values())
                          .filter(other -> other.does(setup.what()))
                          .map(ContestantKind::label)
                          .toList()));
        }
      }
    }
  }

  /** One contestant and what is known of it. */
  private record Side(
      WorkerProcess worker,
      List<Results.Pass> warmups,
      List<Results.Pass> passes,
      List<Results.Pass> loadedPasses) {}

  private Comparison(Plan plan, Consumer<String> progress) {
    this.plan = plan;
    this.progress = progress;
  }

  /**
   * Carries {@code plan} out.
   *
   * @param progress told of each step in a line
   * @throws IllegalStateException if a contestant fails or computes something else
   */
  static Results run(Plan plan, Consumer<String> progress) {
    Comparison comparison = new Comparison(plan, progress);
    try (Spinners spinners = Spinners.start(plan.foreignProcesses())) {
      return comparison.run(spinners);
    } finally {
      comparison.sides.forEach(side -> side.worker().close());
    }
  }

  private Results run(Spinners spinners) {
    for (ContestantKind kind : plan.contestants()) {
      WorkerProcess worker = WorkerProcess.start(kind, plan.setup(), plan.launch());
      sides.add(new Side(worker, new ArrayList<>(), new ArrayList<>(), new ArrayList<>()));
      progress.accept("%s: %s".formatted(kind.label(), worker.opened().version()));
    }
    for (int warmup = 0; warmup < plan.warmups(); warmup++) {
      awaitQuiet();
      sides.forEach(side -> side.warmups().add(pass("warm-up", side, spinners)));
    }
    List<NpyFile.Deviation> deviations = sides.stream().map(this::compare).toList();
    int round = 0;
    while (round < plan.mostRounds() && cleanRounds().size() < plan.rounds()) {
      round++;
      awaitQuiet();
      for (Side side : sides) {
        side.passes().add(pass("round " + round, side, spinners));
      }
      if (plan.foreignProcesses() > 0) {
        for (Side side : sides) {
          spinners.spin();
          side.loadedPasses().add(pass("round " + round + ", loaded", side, spinners));
          spinners.rest();
        }
      }
    }
    return results(deviations, sides.stream().map(side -> side.worker().finish()).toList());
  }

  /** Returns once other processes rest for a second, or when patience ends. */
  private void awaitQuiet() {
    boolean quiet = false;
    for (int second = 0; second < plan.patienceSeconds() && !quiet; second++) {
      ProcFiles.MachineUse before = ProcFiles.machine();
      try {
        Thread.sleep(Duration.ofSeconds(1));
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException("interrupted between two passes", e);
      }
      quiet = ProcFiles.machine().minus(before).takenSeconds() <= FOREIGN_LIMIT * processors;
    }
  }

  private NpyFile.Deviation compare(Side side) {
    NpyFile.Deviation deviation = side.worker().compare().deviation();
    String line =
        "%s: what it computes differs by %.1e at most, %.1e rms"
            .formatted(label(side), deviation.largest(), deviation.rms());
    progress.accept(line);
    if (deviation.largest() > LARGEST_ERROR) {
      throw new IllegalStateException(line + ", expected at most " + LARGEST_ERROR);
    }
    return deviation;
  }

  private Results.Pass pass(String occasion, Side side, Spinners spinners) {
    long pid = side.worker().pid();
    double load = ProcFiles.loadAverage();
    double spun = spinners.cpuSeconds();
    ProcFiles.MachineUse machine = ProcFiles.machine();
    ProcFiles.ProcessUse own = ProcFiles.process(pid);
    double seconds = side.worker().pass().seconds();
    ProcFiles.ProcessUse ownAfter = ProcFiles.process(pid);
    ProcFiles.MachineUse machineAfter = ProcFiles.machine();

    double cpu = ownAfter.cpuSeconds() - own.cpuSeconds();
    ProcFiles.MachineUse use = machineAfter.minus(machine);
    double spinning = spinners.cpuSeconds() - spun;
    double foreign = Math.max(0, use.busySeconds() - cpu - spinning);
    boolean clean = foreign + use.stolenSeconds() <= FOREIGN_LIMIT * processors * seconds;
    progress.accept(
        "%s, %s: %.3f s%s"
            .formatted(
                occasion,
                label(side),
                seconds,
                clean
                    ? ""
                    : ", unclean: %.2f s of others".formatted(foreign + use.stolenSeconds())));
    return new Results.Pass(
        seconds,
        cpu,
        ownAfter.minorFaults() - own.minorFaults(),
        ownAfter.majorFaults() - own.majorFaults(),
        foreign,
        use.stolenSeconds(),
        spinning,
        load,
        clean);
  }

  /** Numbers of the rounds in which every contestant's pass is clean. */
  private List<Integer> cleanRounds() {
    return rounds()
        .filter(round -> sides.stream().allMatch(side -> isClean(side, round)))
        .boxed()
        .toList();
  }

  private static boolean isClean(Side side, int round) {
    return side.passes().get(round).clean()
        && (side.loadedPasses().isEmpty() || side.loadedPasses().get(round).clean());
  }

  private IntStream rounds() {
    return IntStream.range(0, sides.getLast().passes().size());
  }

  private Results results(List<NpyFile.Deviation> deviations, List<Reply.Closed> closings) {
    List<Integer> clean = cleanRounds();
    List<Integer> counted = clean.isEmpty() ? rounds().boxed().toList() : clean;
    return new Results(
        plan.setup().what().label(),
        plan.commit(),
        plan.command(),
        Instant.now().truncatedTo(ChronoUnit.SECONDS).toString(),
        new Results.Machine(
            ProcFiles.processorModel(),
            processors,
            ProcFiles.memoryBytes(),
            System.getProperty("os.name") + " " + System.getProperty("os.version")),
        System.getProperty("java.vm.name") + " " + Runtime.version(),
        plan.launch().jvmOptions(),
        plan.setup().variant(),
        plan.setup().what().batchSize(plan.setup().variant()),
        plan.setup().threads(),
        FOREIGN_LIMIT,
        plan.foreignProcesses(),
        clean.size(),
        clean.isEmpty(),
        IntStream.range(0, sides.size())
            .mapToObj(index ->
                entry(sides.get(index), deviations.get(index), closings.get(index), counted))
            .toList(),
        ratios(counted));
  }

  private Results.Entry entry(
      Side side, NpyFile.Deviation deviation, Reply.Closed closed, List<Integer> counted) {
    List<Results.Pass> passes = counted.stream().map(side.passes()::get).toList();
    boolean loaded = plan.foreignProcesses() > 0;
    List<Double> loadedSeconds = loaded ? seconds(side.loadedPasses(), counted) : List.of();
    return new Results.Entry(
        label(side),
        side.worker().opened().version(),
        plan.launch().settings(side.worker().kind()),
        deviation.largest(),
        deviation.rms(),
        side.worker().opened().peakResidentBytes(),
        closed.peakResidentBytes(),
        median(passes, Results.Pass::seconds),
        passes.stream().mapToDouble(Results.Pass::seconds).min().orElseThrow(),
        median(passes, Results.Pass::cpuSeconds),
        median(passes, Results.Pass::minorFaults),
        loaded ? Spread.of(loadedSeconds).median() : null,
        loaded ? Statistics.ratios(loadedSeconds, seconds(side.passes(), counted)) : null,
        List.copyOf(side.warmups()),
        List.copyOf(side.passes()),
        List.copyOf(side.loadedPasses()));
  }

  private static double median(
      List<Results.Pass> passes, ToDoubleFunction<Results.Pass> measurement) {
    return Spread.of(passes.stream().mapToDouble(measurement).boxed().toList()).median();
  }

  private List<Results.Ratio> ratios(List<Integer> counted) {
    return IntStream.range(0, sides.size())
        .boxed()
        .flatMap(
            first -> sides.stream().skip(first + 1L).map(other -> ratio(first, other, counted)))
        .toList();
  }

  private Results.Ratio ratio(int first, Side other, List<Integer> counted) {
    Side baseline = sides.get(first);
    return Statistics.ratio(
        label(other),
        seconds(other.passes(), counted),
        label(baseline),
        seconds(baseline.passes(), counted));
  }

  private static List<Double> seconds(List<Results.Pass> passes, List<Integer> rounds) {
    return rounds.stream().map(round -> passes.get(round).seconds()).toList();
  }

  private static String label(Side side) {
    return side.worker().kind().label();
  }
}
