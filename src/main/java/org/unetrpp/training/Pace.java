package org.unetrpp.training;

import java.util.EnumMap;
import java.util.Map;
import org.unetrpp.planning.Schedule;
import org.unetrpp.training.BatchProgress.Phase;

/** How long batches take. */
final class Pace {
  /** Validation lacks the backward pass, which takes about twice as long as the forward pass. */
  private static final double VALIDATION_SHARE = 1.0 / 3;

  private final Map<Phase, Sums> sums = new EnumMap<>(Phase.class);

  /** Times of the batches of one phase, in seconds. */
  record Sums(int batches, double seconds, double waiting) {
    private static final Sums NONE = new Sums(0, 0, 0);

    double perBatch() {
      return seconds / batches;
    }

    double waitingShare() {
      return waiting / seconds;
    }
  }

  /**
   * Counts a batch.
   *
   * @param seconds that it took
   * @param waiting seconds of these until it was there
   */
  void add(Phase phase, double seconds, double waiting) {
    Sums before = of(phase);
    sums.put(
        phase, new Sums(before.batches + 1, before.seconds + seconds, before.waiting + waiting));
  }

  /** The batches of a phase so far. */
  Sums of(Phase phase) {
    return sums.getOrDefault(phase, Sums.NONE);
  }

  /** Seconds of all batches. */
  double seconds() {
    return sums.values().stream().mapToDouble(Sums::seconds).sum();
  }

  /** Seconds until the epoch under way ends. */
  double epochSecondsLeft(RunState state, Schedule schedule) {
    return secondsOf(
        schedule.iterations() - state.iteration(),
        schedule.validationIterations() - state.validation().batches());
  }

  /** Seconds until the last epoch ends. */
  double runSecondsLeft(RunState state, Schedule schedule) {
    int epochsAfter = schedule.epochs() - state.epoch() - 1;
    return epochSecondsLeft(state, schedule)
        + epochsAfter * secondsOf(schedule.iterations(), schedule.validationIterations());
  }

  private double secondsOf(int steps, int validationBatches) {
    Sums training = of(Phase.TRAINING);
    Sums validation = of(Phase.VALIDATION);
    double perStep =
        training.batches > 0 ? training.perBatch() : validation.perBatch() / VALIDATION_SHARE;
    double perValidation =
        validation.batches > 0 ? validation.perBatch() : perStep * VALIDATION_SHARE;
    return steps * perStep + validationBatches * perValidation;
  }
}
