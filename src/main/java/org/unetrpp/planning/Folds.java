package org.unetrpp.planning;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.stream.IntStream;
import org.unetrpp.dataset.LegacyShuffle;

/** Divisions of cases for cross-validation. */
public final class Folds {
  private static final int COUNT = 5;
  private static final int SEED = 12345;
  private static final int SHOWN = 3;

  private Folds() {}

  /**
   * The published division into five: sorted, shuffled, the first folds one case larger where the
   * number is no multiple. Fewer than five cases make one fold each, with that case held back; a
   * single one is trained on and held back.
   *
   * @throws IllegalArgumentException if there is no case
   */
  public static List<Fold> of(Collection<String> ids) {
    List<String> sorted = ids.stream().sorted().toList();
    int cases = sorted.size();
    if (cases == 0) {
      throw new IllegalArgumentException("no cases, expected at least one");
    }
    if (cases == 1) {
      return List.of(new Fold(sorted, sorted));
    }
    int[] shuffled = IntStream.range(0, cases).toArray();
    new LegacyShuffle(SEED).shuffle(shuffled);
    int count = Math.min(COUNT, cases);
    int[] foldOf = new int[cases];
    int next = 0;
    for (int fold = 0; fold < count; fold++) {
      int size = cases / count + (fold < cases % count ? 1 : 0);
      for (int i = 0; i < size; i++) {
        foldOf[shuffled[next++]] = fold;
      }
    }
    List<Fold> folds = new ArrayList<>();
    for (int fold = 0; fold < count; fold++) {
      folds.add(fold(sorted, foldOf, fold));
    }
    return folds;
  }

  /**
   * Folds without the cases that are not there.
   *
   * @param ids of the cases that are
   * @throws IllegalArgumentException if a fold has no case left to train on, or none to hold back
   */
  public static List<Fold> among(List<Fold> folds, Collection<String> ids) {
    List<Fold> left = new ArrayList<>();
    for (Fold fold : folds) {
      List<String> training = fold.training().stream().filter(ids::contains).toList();
      List<String> validation = fold.validation().stream().filter(ids::contains).toList();
      requireSome("trains on", fold.training(), training, ids);
      requireSome("holds back", fold.validation(), validation, ids);
      left.add(new Fold(training, validation));
    }
    return left;
  }

  private static void requireSome(
      String what, List<String> listed, List<String> left, Collection<String> ids) {
    if (left.isEmpty()) {
      throw new IllegalArgumentException(
          "a fold %s %s, none of which is there, only %s"
              .formatted(what, shown(listed), shown(ids.stream().sorted().toList())));
    }
  }

  private static String shown(List<String> ids) {
    String first = String.join(", ", ids.subList(0, Math.min(SHOWN, ids.size())));
    int more = ids.size() - SHOWN;
    return more > 0 ? "%s and %d more".formatted(first, more) : first;
  }

  private static Fold fold(List<String> ids, int[] foldOf, int fold) {
    List<String> training = new ArrayList<>();
    List<String> validation = new ArrayList<>();
    for (int i = 0; i < foldOf.length; i++) {
      (foldOf[i] == fold ? validation : training).add(ids.get(i));
    }
    return new Fold(training, validation);
  }
}
