package org.unetrpp.planning;

import java.util.List;

/**
 * A division of the cases.
 *
 * @param training identifiers of the cases trained on
 * @param validation identifiers of those held back
 */
public record Fold(List<String> training, List<String> validation) {
  public Fold {
    training = List.copyOf(training);
    validation = List.copyOf(validation);
  }
}
