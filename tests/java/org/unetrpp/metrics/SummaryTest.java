package org.unetrpp.metrics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Spacing;
import org.unetrpp.metrics.Summary.Mean;

class SummaryTest {
  private static final Extents EXTENTS = new Extents(1, 1, 8);
  private static final Structure ONE = Structure.of("one", 1);
  private static final Structure TWO = Structure.of("two", 2);

  /** Case of eight voxels in a row; Dice of label 1 is that of two intervals. */
  private static CaseEvaluation evaluate(
      String prediction, String reference, List<Structure> structures, Settings settings) {
    return Evaluation.of(row(prediction), row(reference), structures, settings);
  }

  private static LabelVolume row(String digits) {
    return Labels.of(EXTENTS, new Spacing(1, 1, 1), (_, _, w) -> digits.charAt(w) - '0');
  }

  private static List<CaseEvaluation> cases(Settings settings) {
    List<Structure> both = List.of(ONE, TWO);
    return List.of(
        evaluate("11110000", "11000000", both, settings), // Dice of 1: 2/3, HD 2; of 2: undefined
        evaluate("11000022", "11000222", both, settings)); // Dice of 1: 1, HD 0; of 2: 4/5, HD 1
  }

  @Test
  void undefinedValuesDoNotCount() {
    Summary summary = Summary.of(cases(Settings.DEFAULT));
    assertThat(summary.cases()).isEqualTo(2);
    Summary.StructureSummary one = summary.structures().getFirst();
    Summary.StructureSummary two = summary.structures().getLast();
    assertThat(one.mean(Metric.DICE)).isEqualTo(new Mean((2.0 / 3 + 1) / 2, 2));
    assertThat(one.mean(Metric.HD)).isEqualTo(new Mean(1, 2));
    assertThat(two.mean(Metric.DICE)).isEqualTo(new Mean(0.8, 1));
    assertThat(two.mean(Metric.HD)).isEqualTo(new Mean(1, 1));
  }

  @Test
  void overallIsTheMeanOfTheStructures() {
    Summary summary = Summary.of(cases(Settings.DEFAULT));
    Mean dice = summary.mean(Metric.DICE);
    assertThat(dice.value()).isCloseTo((5.0 / 6 + 0.8) / 2, within(1e-15));
    assertThat(dice.count()).isEqualTo(2);
  }

  @Test
  void emptyMasksCountAsThePublishedScriptsDo() {
    Summary summary = Summary.of(cases(new Settings(Convention.VOXELS, 1, true)));
    Summary.StructureSummary two = summary.structures().getLast();
    assertThat(two.mean(Metric.DICE)).isEqualTo(new Mean(0.9, 2));
    assertThat(two.mean(Metric.HD95).count()).isEqualTo(2);
    assertThat(two.mean(Metric.HD)).isEqualTo(new Mean(1, 1));
  }

  @Test
  void whatIsUndefinedOrNotEvaluatedHasNoMean() {
    List<CaseEvaluation> cases =
        List.of(evaluate("00000000", "00000000", List.of(ONE), Settings.DEFAULT));
    Mean dice = Summary.of(cases).mean(Metric.DICE);
    assertThat(dice.value()).isNaN();
    assertThat(dice.count()).isZero();
    Summary fast = Summary.of(cases(Settings.DEFAULT.withoutDistances()));
    assertThatThrownBy(() -> fast.mean(Metric.HD))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("HD was not evaluated, expected one of [DICE, ");
  }

  @Test
  void structuresThatOtherCasesHaveAreAsIfEvaluated() {
    for (Convention convention : Convention.values()) {
      Settings settings = new Settings(convention, 1, true);
      List<Structure> both = List.of(TWO, ONE);
      CaseEvaluation known = evaluate("11110000", "11000000", List.of(ONE), settings);
      assertThat(known.over(both)).isEqualTo(evaluate("11110000", "11000000", both, settings));
    }
  }

  @Test
  void casesOfDifferentKindsAreRefused() {
    CaseEvaluation one = evaluate("11110000", "11000000", List.of(ONE), Settings.DEFAULT);
    CaseEvaluation two = evaluate("11110000", "11000000", List.of(TWO), Settings.DEFAULT);
    CaseEvaluation fast =
        evaluate("11110000", "11000000", List.of(ONE), Settings.DEFAULT.withoutDistances());
    for (CaseEvaluation other : List.of(two, fast)) {
      assertThatThrownBy(() -> Summary.of(List.of(one, other)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageStartingWith("a case was evaluated over ");
    }
    assertThatThrownBy(() -> Summary.of(List.of()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("no cases, expected at least one");
    assertThatThrownBy(() -> one.structure("two"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("structure 'two' was not evaluated");
  }
}
