package org.unetrpp.postprocessing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.unetrpp.postprocessing.ComponentRuleTest.volume;

import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.unetrpp.pipeline.Workers;

class DecisionTest {
  private static SortedMap<Integer, Double> dice(double... ofClasses) {
    SortedMap<Integer, Double> dice = new TreeMap<>();
    for (int i = 0; i < ofClasses.length; i++) {
      dice.put(i + 1, ofClasses[i]);
    }
    return dice;
  }

  private static CaseDice of(double[] raw, double[] joint, double[] each, double[] both) {
    return new CaseDice(dice(raw), dice(joint), dice(each), dice(both));
  }

  private static double[] of(double... dice) {
    return dice;
  }

  private static List<Integer> labels(Decision decision, int removal) {
    return List.copyOf(decision.rule().removals().get(removal).labels());
  }

  @Test
  void allAsOneIsKeptIfOneClassGainsAndNoneLoses() {
    Decision decision =
        Decision.of(List.of(of(of(0.5, 0.8), of(0.5, 0.9), of(0.7, 0.7), of(0.5, 0.9))));
    assertThat(decision.rule()).isEqualTo(ComponentRule.joint(List.of(1, 2)));
    assertThat(decision.each()).isEqualTo(dice(0.5, 0.9));
  }

  @Test
  void allAsOneIsDroppedIfAnyClassLoses() {
    Decision decision =
        Decision.of(List.of(of(of(0.5, 0.8), of(0.4, 0.99), of(0.6, 0.8), of(0.9, 0.9))));
    assertThat(decision.rule()).isEqualTo(ComponentRule.each(List.of(1)));
    assertThat(decision.each()).isEqualTo(dice(0.6, 0.8));
  }

  @Test
  void classesAreComparedWithAllAsOneIfThatIsKept() {
    Decision decision =
        Decision.of(List.of(of(of(0.5, 0.8), of(0.6, 0.8), of(0.9, 0.9), of(0.6, 0.81))));
    assertThat(decision.rule().removals()).hasSize(2);
    assertThat(labels(decision, 0)).containsExactly(1, 2);
    assertThat(labels(decision, 1)).containsExactly(2);
  }

  @Test
  void oneClassIsTriedOnce() {
    Decision decision = Decision.of(List.of(of(of(0.5), of(0.6), of(0.9), of(0.9))));
    assertThat(decision.rule()).isEqualTo(ComponentRule.joint(List.of(1)));
    assertThat(decision.each()).isEmpty();
  }

  @Test
  void nothingGained() {
    CaseDice same = of(of(0.5, 1), of(0.5, 1), of(0.5, 1), of(0.5, 1));
    assertThat(Decision.of(List.of(same)).rule()).isEqualTo(ComponentRule.NONE);
  }

  @Test
  void undefinedDiceDoesNotCount() {
    double nan = Double.NaN;
    Decision decision =
        Decision.of(
            List.of(
                of(of(nan, 0.5), of(nan, 0.6), of(nan, 0.5), of(nan, 0.6)),
                of(of(nan, nan), of(nan, nan), of(nan, nan), of(nan, nan)),
                of(of(nan, 0.9), of(nan, 0.9), of(nan, 0.9), of(nan, 0.9))));
    assertThat(decision.raw()).isEqualTo(dice(nan, 0.7));
    assertThat(decision.joint()).isEqualTo(dice(nan, 0.75));
    assertThat(decision.rule()).isEqualTo(ComponentRule.joint(List.of(1, 2)));
    assertThat(decision.cases()).isEqualTo(3);
  }

  @Test
  void diceOfACaseIsOfEachWay() {
    try (Workers workers = Workers.of(2)) {
      CaseDice dice =
          CaseDice.of(
              volume("1100", "2011", "0000", "2220"),
              volume("1100", "1000", "0000", "2220"),
              new TreeSet<>(List.of(1, 2, 3)),
              workers);
      // Components of 3, 2 and 3 voxels; of each class, 2 and 2, and 1 and 3.
      assertThat(dice.raw()).isEqualTo(dice(4 / 7.0, 6 / 7.0, Double.NaN));
      assertThat(dice.joint()).isEqualTo(dice(4 / 5.0, 6 / 7.0, Double.NaN));
      assertThat(dice.each()).isEqualTo(dice(4 / 7.0, 1.0, Double.NaN));
      assertThat(dice.both()).isEqualTo(dice(4 / 5.0, 1.0, Double.NaN));
    }
  }

  @Test
  void caseOfOtherClassesIsRefused() {
    CaseDice one = of(of(0.5), of(0.6), of(0.9), of(0.9));
    CaseDice two = of(of(0.5, 1), of(0.5, 1), of(0.5, 1), of(0.5, 1));
    assertThatThrownBy(() -> Decision.of(List.of(one, two)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("a case over classes [1, 2], expected [1] as the first");
  }
}
