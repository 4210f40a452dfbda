package org.unetrpp.training;

/**
 * What a validation batch found.
 *
 * @param loss as in training
 * @param truePositives voxels of each class that were found, (K)
 * @param falsePositives voxels taken for each class that are of another, (K)
 * @param falseNegatives voxels of each class taken for another, (K)
 */
public record ValidationReport(
    double loss, long[] truePositives, long[] falsePositives, long[] falseNegatives) {}
