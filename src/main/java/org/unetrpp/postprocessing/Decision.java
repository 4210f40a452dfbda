package org.unetrpp.postprocessing;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;

/**
 * What is removed of segmentations from now on, and the mean Dice of each class over the cases that
 * it was decided by; NaN where no case counts.
 *
 * @param raw as predicted
 * @param joint with all foreground classes treated as one object
 * @param each with each class treated for itself, after all as one if that is kept; empty if there
 *     is one class
 * @param rule what is removed
 * @param cases how many there were
 */
public record Decision(
    SortedMap<Integer, Double> raw,
    SortedMap<Integer, Double> joint,
    SortedMap<Integer, Double> each,
    ComponentRule rule,
    int cases) {
  public Decision {
    raw = Collections.unmodifiableSortedMap(new TreeMap<>(raw));
    joint = Collections.unmodifiableSortedMap(new TreeMap<>(joint));
    each = Collections.unmodifiableSortedMap(new TreeMap<>(each));
  }

  /**
   * Decides as published. All foreground classes are treated as one object if at least one class is
   * better for it and none is worse. Then, if there is more than one, each class is treated for
   * itself that is better for it. Better is a greater mean; NaN is neither better nor worse.
   *
   * @param cases at least one, over the same classes
   * @throws IllegalArgumentException if there is no case, or their classes differ
   */
  public static Decision of(List<CaseDice> cases) {
    if (cases.isEmpty()) {
      throw new IllegalArgumentException("no cases, expected at least one");
    }
    SortedSet<Integer> classes = new TreeSet<>(cases.getFirst().raw().keySet());
    SortedMap<Integer, Double> raw = means(cases, CaseDice::raw, classes);
    SortedMap<Integer, Double> joint = means(cases, CaseDice::joint, classes);
    List<Removal> removals = new ArrayList<>();
    boolean treatsAllAsOne =
        classes.stream().anyMatch(label -> of(joint, label) > of(raw, label))
            && classes.stream().noneMatch(label -> of(joint, label) < of(raw, label));
    if (treatsAllAsOne) {
      removals.add(Removal.of(classes));
    }
    SortedMap<Integer, Double> each = new TreeMap<>();
    if (classes.size() > 1) {
      each.putAll(means(cases, treatsAllAsOne ? CaseDice::both : CaseDice::each, classes));
      SortedMap<Integer, Double> before = treatsAllAsOne ? joint : raw;
      for (int label : classes) {
        if (of(each, label) > of(before, label)) {
          removals.add(Removal.of(List.of(label)));
        }
      }
    }
    return new Decision(raw, joint, each, new ComponentRule(removals), cases.size());
  }

  private static double of(SortedMap<Integer, Double> dice, int label) {
    return dice.getOrDefault(label, Double.NaN);
  }

  private static SortedMap<Integer, Double> means(
      List<CaseDice> cases,
      Function<CaseDice, SortedMap<Integer, Double>> dice,
      SortedSet<Integer> classes) {
    SortedMap<Integer, Double> means = new TreeMap<>();
    for (CaseDice each : cases) {
      if (!dice.apply(each).keySet().equals(classes)) {
        throw new IllegalArgumentException(
            "a case over classes %s, expected %s as the first"
                .formatted(dice.apply(each).keySet(), classes));
      }
    }
    for (int label : classes) {
      means.put(
          label,
          cases.stream()
              .mapToDouble(each -> of(dice.apply(each), label))
              .filter(value -> !Double.isNaN(value))
              .average()
              .orElse(Double.NaN));
    }
    return means;
  }
}
