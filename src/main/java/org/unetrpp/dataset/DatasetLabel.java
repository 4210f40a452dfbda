package org.unetrpp.dataset;

/**
 * A label of a data set.
 *
 * @param value the number in its label files
 * @param name for people
 */
public record DatasetLabel(int value, String name) {
  public DatasetLabel {
    if (value < 0 || value > 255) {
      throw new IllegalArgumentException(
          "label '%s' has value %d, expected 0 to 255".formatted(name, value));
    }
    if (name.isBlank()) {
      throw new IllegalArgumentException("label " + value + " has no name");
    }
  }
}
