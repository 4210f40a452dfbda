package org.unetrpp.backend;

/**
 * One step of stochastic gradient descent with Nesterov's momentum: {@code g = scale gradient +
 * weightDecay value; velocity = momentum velocity + g; value -= learningRate (g + momentum
 * velocity)}.
 *
 * @param gradientScale at most 1, so that gradients are not too long
 */
public record SgdUpdate(
    double learningRate, double momentum, double weightDecay, double gradientScale) {}
