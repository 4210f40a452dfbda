package org.unetrpp.backend;

/**
 * One step of AdamW (Loshchilov and Hutter 2019, algorithm 2): {@code g = scale gradient; m = beta1
 * m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; value -= learningRate (weightDecay value + m' /
 * (sqrt(v') + epsilon))}, with {@code m' = m / (1 - beta1^step)} and {@code v' = v / (1 -
 * beta2^step)}.
 *
 * @param gradientScale at most 1, so that gradients are not too long
 * @param step counted from 1
 */
public record AdamUpdate(
    double learningRate,
    double beta1,
    double beta2,
    double epsilon,
    double weightDecay,
    double gradientScale,
    long step) {}
