package org.unetrpp.training;

/** The published schedule: {@code initial * (1 - epoch / epochs)^0.9}. */
final class LearningRate {
  private static final double POWER = 0.9;

  private LearningRate() {}

  /**
   * The rate of an epoch.
   *
   * @param epoch from 0
   */
  static double of(double initial, int epoch, int epochs) {
    // The strict power is the same number on every machine.
    return initial * StrictMath.pow(1 - (double) epoch / epochs, POWER);
  }
}
