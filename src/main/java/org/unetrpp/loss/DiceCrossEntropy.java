package org.unetrpp.loss;

import org.unetrpp.backend.LossSums;
import org.unetrpp.backend.LossWeights;

/// Soft Dice plus cross entropy, from the sums that both are made of.
///
/// With p the probabilities and y the target, for each class c of each sample, or of the batch:
///
/// ```
/// tp = sum p_c [y = c]      dice_c = (2 tp + s) / (sum p_c + sum [y = c] + s + 1e-8)
/// loss = crossEntropyWeight mean(-log p_y) - diceWeight mean(dice_c)
/// ```
///
/// The first mean is over all voxels, the second over the classes, background left out unless the
/// settings want it.
///
/// @param value the loss
/// @param dicePart its negative mean Dice, unweighted
/// @param crossEntropyPart its mean cross entropy, unweighted
/// @param weights derivatives with respect to the sums
public record DiceCrossEntropy(
    double value, double dicePart, double crossEntropyPart, LossWeights weights) {
  private static final double LEAST_DENOMINATOR = 1e-8;

  /**
   * The loss of one head.
   *
   * @param sums of the batch
   * @param classes K
   * @param voxels of one sample
   */
  public static DiceCrossEntropy of(
      LossSums sums, int classes, long voxels, LossSettings settings) {
    int batch = sums.overlap().length / classes;
    int groups = settings.batchDice() ? 1 : batch;
    int first = settings.background() ? 0 : 1;
    double share = 1.0 / ((double) groups * (classes - first));
    double[] overlapWeights = new double[batch * classes];
    double[] predictedWeights = new double[batch * classes];
    double dice = 0;
    for (int group = 0; group < groups; group++) {
      int begin = settings.batchDice() ? 0 : group;
      int end = settings.batchDice() ? batch : group + 1;
      for (int k = first; k < classes; k++) {
        double numerator = 2 * sum(sums.overlap(), begin, end, k, classes) + settings.smoothing();
        double denominator =
            sum(sums.predicted(), begin, end, k, classes)
                + sum(sums.target(), begin, end, k, classes)
                + settings.smoothing()
                + LEAST_DENOMINATOR;
        dice += share * numerator / denominator;
        double scale = share * settings.diceWeight();
        for (int item = begin; item < end; item++) {
          overlapWeights[item * classes + k] = -2 * scale / denominator;
          predictedWeights[item * classes + k] = scale * numerator / (denominator * denominator);
        }
      }
    }
    double perVoxel = 1 / ((double) batch * voxels);
    double crossEntropy = sums.crossEntropy() * perVoxel;
    return new DiceCrossEntropy(
        settings.crossEntropyWeight() * crossEntropy - settings.diceWeight() * dice,
        -dice,
        crossEntropy,
        new LossWeights(
            overlapWeights, predictedWeights, settings.crossEntropyWeight() * perVoxel));
  }

  private static double sum(double[] values, int begin, int end, int k, int classes) {
    double sum = 0;
    for (int item = begin; item < end; item++) {
      sum += values[item * classes + k];
    }
    return sum;
  }
}
