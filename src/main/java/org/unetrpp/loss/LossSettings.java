package org.unetrpp.loss;

/**
 * Choices within {@link DiceCrossEntropy}.
 *
 * @param batchDice whether sums for Dice run over the whole batch, which gives K values, rather
 *     than over each sample, which gives B K
 * @param background whether background counts in the mean of the Dice values
 * @param smoothing added to numerator and denominator of Dice
 * @param diceWeight factor of the Dice part
 * @param crossEntropyWeight factor of the cross entropy
 */
public record LossSettings(
    boolean batchDice,
    boolean background,
    double smoothing,
    double diceWeight,
    double crossEntropyWeight) {
  /** The published loss. */
  public static LossSettings published(boolean batchDice) {
    return new LossSettings(batchDice, false, 1e-5, 1, 1);
  }
}
