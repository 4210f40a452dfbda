package org.unetrpp.planning;

import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * A division of the cases.
 *
 * @param training identifiers of the cases trained on
 * @param validation identifiers of those held back; where there are too few cases, the same
 */
public record Fold(List<String> training, List<String> validation) {
  public Fold {
    training = List.copyOf(training);
    validation = List.copyOf(validation);
    requireDistinct("training", training);
    requireDistinct("validation", validation);
    if (training.isEmpty()) {
      throw new IllegalArgumentException("a fold without cases to train on");
    }
  }

  private static void requireDistinct(String name, List<String> ids) {
    Set<String> seen = new HashSet<>();
    for (String id : ids) {
      if (!seen.add(id)) {
        throw new IllegalArgumentException("%s names case '%s' twice".formatted(name, id));
      }
    }
  }
}
