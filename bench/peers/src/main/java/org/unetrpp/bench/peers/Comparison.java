package org.unetrpp.bench.peers;

import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;

/**
 * Contestants in processes of their own that make their passes in turn, A B C A B C, so that what
 * the machine does meanwhile meets them all. Only one computes at a time. Every contestant's logits
 * are held against those expected before anything is timed.
 */
final class Comparison {
  /** Share of all processors that other processes may take in a clean pass. */
  private static final double FOREIGN_LIMIT = 0.05;

  /** Error of logits, relative to their largest absolute value, that ends a comparison. */
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
   * @param jvmOptions of each contestant's process
   * @param warmups passes before the first round, of which there is one or more
   * @param rounds clean rounds wanted
   * @param mostRounds rounds after which it ends in any case
   * @param patienceSeconds how long each round and warm-up may wait for other processes to rest
   * @param commit of the sources
   * @param command that runs the same comparison
   */
  record Plan(
      List<ContestantKind> contestants,
      Setup setup,
      List<String> jvmOptions,
      int warmups,
      int rounds,
      int mostRounds,
      int patienceSeconds,
      String commit,
      String command) {
    Plan {
      contestants = List.copyOf(contestants);
      jvmOptions = List.copyOf(jvmOptions);
      if (contestants.isEmpty()) {
        throw new IllegalArgumentException("contestants are empty, expected one or more");
      }
      if (warmups < 1 || rounds < 1 || mostRounds < rounds) {
        throw new IllegalArgumentException(
            "%d warm-ups, %d rounds, at most %d: expected 1 or more, 1 or more, at least the rounds"
                .formatted(warmups, rounds, mostRounds));
      }
    }
  }

  /** One contestant and what is known of it. */
  private record Side(
      WorkerProcess worker, List<Results.Pass> warmups, List<Results.Pass> passes) {}

  private Comparison(Plan plan, Consumer<String> progress) {
    this.plan = plan;
    this.progress = progress;
  }

  /**
   * Carries {@code plan} out.
   *
   * @param progress told of each step in a line
   * @throws IllegalStateException if a contestant fails or its logits are wrong
   */
  static Results run(Plan plan, Consumer<String> progress) {
    Comparison comparison = new Comparison(plan, progress);
    try {
      return comparison.run();
    } finally {
      comparison.sides.forEach(side -> side.worker().close());
    }
  }

  private Results run() {
    for (ContestantKind kind : plan.contestants()) {
      WorkerProcess worker = WorkerProcess.start(kind, plan.setup(), plan.jvmOptions());
      sides.add(new Side(worker, new ArrayList<>(), new ArrayList<>()));
      progress.accept("%s: %s".formatted(kind.label(), worker.opened().version()));
    }
    for (int warmup = 0; warmup < plan.warmups(); warmup++) {
      awaitQuiet();
      sides.forEach(side -> side.warmups().add(pass("warm-up", side)));
    }
    List<NpyFile.Deviation> deviations = sides.stream().map(this::compare).toList();
    int round = 0;
    while (round < plan.mostRounds() && cleanRounds().size() < plan.rounds()) {
      round++;
      awaitQuiet();
      for (Side side : sides) {
        side.passes().add(pass("round " + round, side));
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
        "%s: logits differ by %.1e at most, %.1e rms"
            .formatted(label(side), deviation.largest(), deviation.rms());
    progress.accept(line);
    if (deviation.largest() > LARGEST_ERROR) {
      throw new IllegalStateException(line + ", expected at most " + LARGEST_ERROR);
    }
    return deviation;
  }

  private Results.Pass pass(String occasion, Side side) {
    long pid = side.worker().pid();
    double load = ProcFiles.loadAverage();
    ProcFiles.MachineUse machine = ProcFiles.machine();
    ProcFiles.ProcessUse own = ProcFiles.process(pid);
    double seconds = side.worker().pass().seconds();
    ProcFiles.ProcessUse ownAfter = ProcFiles.process(pid);
    ProcFiles.MachineUse machineAfter = ProcFiles.machine();

    double cpu = ownAfter.cpuSeconds() - own.cpuSeconds();
    ProcFiles.MachineUse use = machineAfter.minus(machine);
    double foreign = Math.max(0, use.busySeconds() - cpu);
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
        load,
        clean);
  }

  /** Numbers of the rounds in which every contestant's pass is clean. */
  private List<Integer> cleanRounds() {
    return rounds()
        .filter(round -> sides.stream().allMatch(side -> side.passes().get(round).clean()))
        .boxed()
        .toList();
  }

  private IntStream rounds() {
    return IntStream.range(0, sides.getLast().passes().size());
  }

  private Results results(List<NpyFile.Deviation> deviations, List<Reply.Closed> closings) {
    List<Integer> clean = cleanRounds();
    List<Integer> counted = clean.isEmpty() ? rounds().boxed().toList() : clean;
    return new Results(
        plan.commit(),
        plan.command(),
        Instant.now().truncatedTo(ChronoUnit.SECONDS).toString(),
        new Results.Machine(
            ProcFiles.processorModel(),
            processors,
            ProcFiles.memoryBytes(),
            System.getProperty("os.name") + " " + System.getProperty("os.version")),
        System.getProperty("java.vm.name") + " " + Runtime.version(),
        plan.jvmOptions(),
        plan.setup().variant(),
        plan.setup().threads(),
        FOREIGN_LIMIT,
        clean.size(),
        clean.isEmpty(),
        IntStream.range(0, sides.size())
            .mapToObj(index ->
                entry(sides.get(index), deviations.get(index), closings.get(index), counted))
            .toList(),
        ratios(counted));
  }

  private static Results.Entry entry(
      Side side, NpyFile.Deviation deviation, Reply.Closed closed, List<Integer> counted) {
    List<Results.Pass> passes = counted.stream().map(side.passes()::get).toList();
    return new Results.Entry(
        label(side),
        side.worker().opened().version(),
        deviation.largest(),
        deviation.rms(),
        side.worker().opened().peakResidentBytes(),
        closed.peakResidentBytes(),
        median(passes, Results.Pass::seconds),
        passes.stream().mapToDouble(Results.Pass::seconds).min().orElseThrow(),
        median(passes, Results.Pass::cpuSeconds),
        median(passes, Results.Pass::minorFaults),
        List.copyOf(side.warmups()),
        List.copyOf(side.passes()));
  }

  private static double median(
      List<Results.Pass> passes, ToDoubleFunction<Results.Pass> measurement) {
    return Statistics.median(passes.stream().mapToDouble(measurement).boxed().toList());
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
        label(other), seconds(other, counted), label(baseline), seconds(baseline, counted));
  }

  private static List<Double> seconds(Side side, List<Integer> rounds) {
    return rounds.stream().map(round -> side.passes().get(round).seconds()).toList();
  }

  private static String label(Side side) {
    return side.worker().kind().label();
  }
}
