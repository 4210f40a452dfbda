package org.unetrpp.training;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.unetrpp.planning.Schedule;

/**
 * Where a run stands, apart from what the trainer holds.
 *
 * @param history the epochs that are over
 * @param best highest moving average of Dice so far; NaN if there is none
 * @param iteration steps done of the epoch that is under way
 * @param lossSum sum of the losses of these steps
 * @param validation what is validated of the epoch that is under way
 */
public record RunState(
    List<EpochResult> history,
    double best,
    int iteration,
    double lossSum,
    ValidationTally validation) {
  private static final double KEPT = 0.9;

  public RunState {
    history = List.copyOf(history);
    Objects.requireNonNull(validation, "validation");
  }

  /** The start of a run. */
  static RunState start(int classes) {
    return new RunState(List.of(), Double.NaN, 0, 0, ValidationTally.none(classes));
  }

  /** Number of epochs that are over, which is the number of the one under way, from 0. */
  public int epoch() {
    return history.size();
  }

  /** Number of steps done in the whole run. */
  public long step(Schedule schedule) {
    return (long) epoch() * schedule.iterations() + iteration;
  }

  /** After one more step. */
  RunState withStep(double loss) {
    return new RunState(history, best, iteration + 1, lossSum + loss, validation);
  }

  /** After one more validation batch. */
  RunState withValidation(ValidationReport report) {
    return new RunState(history, best, iteration, lossSum, validation.with(report));
  }

  /**
   * After the end of the epoch under way.
   *
   * <p>An epoch without Dice leaves the moving average as it was. The first epoch counts as best,
   * where the published code only notes its value: so there is always a best model.
   *
   * @param learningRate of the epoch
   */
  RunState withEpochEnded(double learningRate) {
    double dice = validation.dice();
    double previous = history.isEmpty() ? Double.NaN : history.getLast().averageDice();
    double average = movingAverage(previous, dice);
    boolean improved = Double.isNaN(best) || average > best;
    List<EpochResult> epochs = new ArrayList<>(history);
    epochs.add(
        new EpochResult(
            epoch() + 1,
            learningRate,
            lossSum / iteration,
            validation.loss(),
            dice,
            average,
            improved,
            validation.classDice()));
    return new RunState(
        epochs,
        improved ? average : best,
        0,
        0,
        ValidationTally.none(validation.truePositives().length));
  }

  private static double movingAverage(double previous, double value) {
    if (Double.isNaN(previous)) {
      return value;
    }
    return Double.isNaN(value) ? previous : KEPT * previous + (1 - KEPT) * value;
  }
}
