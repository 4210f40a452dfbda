package org.unetrpp.backend;

/**
 * What Dice and cross entropy need to know of a batch of predictions.
 *
 * @param overlap sum of the probability of class k over the voxels of class k, (B K)
 * @param predicted sum of the probability of class k over all voxels, (B K)
 * @param target number of voxels of class k, (B K)
 * @param crossEntropy sum over all voxels of -log of the probability of their class
 */
public record LossSums(
    double[] overlap, double[] predicted, double[] target, double crossEntropy) {}
