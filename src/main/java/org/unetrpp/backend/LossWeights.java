package org.unetrpp.backend;

/**
 * Derivatives of a loss with respect to its {@link LossSums}.
 *
 * @param overlap (B K)
 * @param predicted (B K)
 * @param crossEntropy one number
 */
public record LossWeights(double[] overlap, double[] predicted, double crossEntropy) {}
