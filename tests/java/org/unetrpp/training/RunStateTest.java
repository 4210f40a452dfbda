package org.unetrpp.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.unetrpp.planning.Schedule;

class RunStateTest {
  private static final double ROUNDING = 1e-15;

  @Test
  void diceIsTakenOverTheVoxelsOfAllBatches() {
    ValidationTally tally =
        ValidationTally.none(3)
            .with(report(1, new long[] {9, 1, 0}, new long[] {0, 2, 0}, new long[] {0, 1, 4}))
            .with(report(2, new long[] {9, 5, 6}, new long[] {0, 0, 2}, new long[] {0, 3, 0}));
    assertThat(tally.classDice()).containsExactly(12.0 / 18, 12.0 / 18);
    assertThat(tally.dice()).isEqualTo(12.0 / 18);
    assertThat(tally.loss()).isEqualTo(1.5);
  }

  @Test
  void classNeverSeenIsSkippedAndOneOnlyTakenFalselyCountsAsZero() {
    ValidationTally tally =
        ValidationTally.none(4)
            .with(
                report(
                    0, new long[] {5, 0, 3, 0}, new long[] {0, 0, 1, 2}, new long[] {3, 0, 1, 0}));
    assertThat(tally.classDice()).containsExactly(Double.NaN, 0.75, 0.0);
    assertThat(tally.dice()).isEqualTo(0.375);
    assertThat(ValidationTally.none(4).dice()).isNaN();
    assertThat(ValidationTally.none(4).loss()).isNaN();
  }

  @Test
  void reportOfOtherClassesIsRefused() {
    assertThatThrownBy(
            () -> ValidationTally.none(3).with(report(0, new long[2], new long[2], new long[2])))
        .hasMessage("a validation report of 2 classes, expected 3");
  }

  @Test
  void movingAverageBeginsWithTheFirstValueAndKeepsNineTenths() {
    RunState state = RunState.start(2);
    for (double dice : List.of(0.5, 1.0, 0.0)) {
      state = epoch(state, dice);
    }
    assertThat(state.history()).extracting(EpochResult::dice).containsExactly(0.5, 1.0, 0.0);
    double second = 0.9 * 0.5 + 0.1 * 1;
    assertThat(averages(state).get(0)).isEqualTo(0.5);
    assertThat(averages(state).get(1)).isCloseTo(second, within(ROUNDING));
    assertThat(averages(state).get(2)).isCloseTo(0.9 * second, within(ROUNDING));
    assertThat(state.history()).extracting(EpochResult::best).containsExactly(true, true, false);
    assertThat(state.best()).isCloseTo(second, within(ROUNDING));
  }

  @Test
  void epochAsGoodAsTheBestIsNotBetter() {
    RunState state = epoch(epoch(RunState.start(2), 0.0), 0.0);
    assertThat(state.history()).extracting(EpochResult::best).containsExactly(true, false);
  }

  @Test
  void epochWithoutDiceLeavesTheAverageAndTheFirstValueBeginsIt() {
    RunState state = epoch(RunState.start(2), Double.NaN);
    state = epoch(state, 0.5);
    state = epoch(state, Double.NaN);
    assertThat(averages(state)).containsExactly(Double.NaN, 0.5, 0.5);
    // As long as there is no Dice, the latest epoch is the best there is.
    assertThat(state.history()).extracting(EpochResult::best).containsExactly(true, true, false);
  }

  @Test
  void lossIsTheMeanOfTheStepsAndStepsAreCountedOverEpochs() {
    RunState state = RunState.start(2).withStep(1).withStep(4);
    assertThat(state.step(new Schedule(9, 2, 1, 2, 0.33, 0))).isEqualTo(2);
    state = state.withEpochEnded(0.01);
    assertThat(state.history().getLast().trainingLoss()).isEqualTo(2.5);
    assertThat(state.history().getLast().learningRate()).isEqualTo(0.01);
    assertThat(state.withStep(1).step(new Schedule(9, 2, 1, 2, 0.33, 0))).isEqualTo(3);
  }

  private static List<Double> averages(RunState state) {
    return state.history().stream().map(EpochResult::averageDice).toList();
  }

  /** One more epoch of one step and, unless it has no Dice, one validation batch. */
  private static RunState epoch(RunState state, double dice) {
    RunState trained = state.withStep(1);
    if (Double.isNaN(dice)) {
      return trained.withEpochEnded(0.01);
    }
    long found = Math.round(1000 * dice);
    long missed = 2 * (1000 - found);
    return trained
        .withValidation(report(0, new long[] {1, found}, new long[2], new long[] {0, missed}))
        .withEpochEnded(0.01);
  }

  private static ValidationReport report(
      double loss, long[] found, long[] wronglyFound, long[] missed) {
    return new ValidationReport(loss, found, wronglyFound, missed);
  }
}
