package org.unetrpp.postprocessing;

import java.util.Collection;
import java.util.Collections;
import java.util.SortedSet;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Of the components of a class, or of several classes taken as one, only the largest stays, and
 * those as large.
 *
 * @param labels of the classes, 1 to 255
 * @param minimumSize cubic millimeters from which on a component stays too; null: none does
 */
public record Removal(SortedSet<Integer> labels, @Nullable Double minimumSize) {
  private static final int LABELS = 256;

  /**
   * @throws IllegalArgumentException if there is no label, or one is not from 1 to 255
   */
  public Removal {
    labels = Collections.unmodifiableSortedSet(new TreeSet<>(labels));
    if (labels.isEmpty() || labels.first() < 1 || labels.last() >= LABELS) {
      throw new IllegalArgumentException(
          "labels %s, expected some from 1 to %d".formatted(labels, LABELS - 1));
    }
  }

  /** A removal whatever the size. */
  public static Removal of(Collection<Integer> labels) {
    return new Removal(new TreeSet<>(labels), null);
  }

  /** Whether a component that is not the largest goes. */
  boolean removes(double cubicMillimeters) {
    return minimumSize == null || cubicMillimeters < minimumSize;
  }

  /** Whether each label belongs to the classes, (256). */
  boolean[] membership() {
    boolean[] membership = new boolean[LABELS];
    labels.forEach(label -> membership[label] = true);
    return membership;
  }
}
