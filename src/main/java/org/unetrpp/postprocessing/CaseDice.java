package org.unetrpp.postprocessing;

import java.util.Collections;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.metrics.Evaluation;
import org.unetrpp.metrics.Metric;
import org.unetrpp.metrics.Settings;
import org.unetrpp.metrics.Structure;
import org.unetrpp.metrics.StructureEvaluation;
import org.unetrpp.pipeline.Workers;

/**
 * The Dice of each class of a case, NaN where neither volume has it, before and after removals that
 * are to be decided on.
 *
 * @param raw of the prediction as it is
 * @param joint with all foreground classes treated as one object
 * @param each with each class treated for itself
 * @param both with each class treated for itself after all as one
 */
public record CaseDice(
    SortedMap<Integer, Double> raw,
    SortedMap<Integer, Double> joint,
    SortedMap<Integer, Double> each,
    SortedMap<Integer, Double> both) {
  public CaseDice {
    raw = Collections.unmodifiableSortedMap(new TreeMap<>(raw));
    joint = Collections.unmodifiableSortedMap(new TreeMap<>(joint));
    each = Collections.unmodifiableSortedMap(new TreeMap<>(each));
    both = Collections.unmodifiableSortedMap(new TreeMap<>(both));
  }

  /**
   * Tries the removals on a case.
   *
   * @param classes the labels of the foreground, at least one
   * @throws IllegalArgumentException if the grids differ
   */
  public static CaseDice of(
      LabelVolume prediction, LabelVolume reference, SortedSet<Integer> classes, Workers workers) {
    ComponentRule each = ComponentRule.each(classes);
    LabelVolume joint = ComponentRule.joint(classes).apply(prediction, workers);
    return new CaseDice(
        dice(prediction, reference, classes, workers),
        dice(joint, reference, classes, workers),
        dice(each.apply(prediction, workers), reference, classes, workers),
        dice(each.apply(joint, workers), reference, classes, workers));
  }

  private static SortedMap<Integer, Double> dice(
      LabelVolume prediction, LabelVolume reference, SortedSet<Integer> classes, Workers workers) {
    SortedMap<Integer, Double> dice = new TreeMap<>();
    for (StructureEvaluation evaluation :
        Evaluation.of(
                prediction,
                reference,
                classes.stream().map(label -> Structure.of(label.toString(), label)).toList(),
                Settings.DEFAULT.withoutDistances(),
                workers)
            .structures()) {
      dice.put(evaluation.structure().labels().first(), evaluation.value(Metric.DICE));
    }
    return dice;
  }
}
