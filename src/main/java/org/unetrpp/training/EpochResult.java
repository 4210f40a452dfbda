package org.unetrpp.training;

import java.util.List;

/**
 * What an epoch came to. Numbers that there were no voxels or batches for are NaN.
 *
 * @param epoch from 1
 * @param learningRate of its steps
 * @param trainingLoss mean of its steps
 * @param validationLoss mean of its validation batches
 * @param dice mean over the foreground classes that were seen
 * @param averageDice moving average of {@code dice} up to this epoch
 * @param best whether no epoch before it had as high an average
 * @param classDice of each foreground class
 */
public record EpochResult(
    int epoch,
    double learningRate,
    double trainingLoss,
    double validationLoss,
    double dice,
    double averageDice,
    boolean best,
    List<Double> classDice) {
  public EpochResult {
    classDice = List.copyOf(classDice);
  }
}
