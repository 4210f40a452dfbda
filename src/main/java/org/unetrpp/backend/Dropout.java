package org.unetrpp.backend;

/**
 * Which values a dropout leaves out: a function of these numbers and a value's index alone, so that
 * every backend drops the same.
 *
 * @param probability of a value to be left out; the others are divided by its complement
 * @param seed of the training run
 * @param layer tells the dropouts of a network apart
 * @param step of the training run
 */
public record Dropout(double probability, long seed, int layer, long step) {
  /** Leaves nothing out. */
  public static final Dropout NONE = new Dropout(0, 0, 0, 0);

  public Dropout {
    if (!(probability >= 0 && probability < 1)) {
      throw new IllegalArgumentException(
          "probability is " + probability + ", expected 0 to below 1");
    }
  }

  /** Whether nothing is ever left out. */
  public boolean isNone() {
    return probability == 0;
  }
}
