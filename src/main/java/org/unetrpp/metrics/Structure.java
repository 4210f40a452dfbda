package org.unetrpp.metrics;

import java.util.Collection;
import java.util.Collections;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;

/**
 * What is evaluated as one mask: a class, or a region made of several, such as the whole tumor.
 *
 * @param name for people
 * @param labels values of label volumes, 0 to 255, that belong to it
 */
public record Structure(String name, SortedSet<Integer> labels) {
  private static final int LABELS = 256;

  /**
   * @throws IllegalArgumentException if the name is blank, there is no label, or one is not from 0
   *     to 255
   */
  public Structure {
    labels = Collections.unmodifiableSortedSet(new TreeSet<>(labels));
    if (name.isBlank()) {
      throw new IllegalArgumentException("the structure of labels " + labels + " has no name");
    }
    if (labels.isEmpty() || labels.first() < 0 || labels.last() >= LABELS) {
      throw new IllegalArgumentException(
          "structure %s has labels %s, expected some from 0 to %d"
              .formatted(name, labels, LABELS - 1));
    }
  }

  /** A class of one label. */
  public static Structure of(String name, int label) {
    return new Structure(name, new TreeSet<>(Set.of(label)));
  }

  /** A region of several labels. */
  public static Structure of(String name, Collection<Integer> labels) {
    return new Structure(name, new TreeSet<>(labels));
  }

  /** Whether each label belongs to the structure, (256). */
  boolean[] membership() {
    boolean[] membership = new boolean[LABELS];
    labels.forEach(label -> membership[label] = true);
    return membership;
  }
}
