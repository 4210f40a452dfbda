package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.memory.Buffer;

/**
 * What a group normalization needs of the values before it: for each channel of each item the mean
 * of its group and the factor of what deviates from it, {@code gamma / sqrt(variance + epsilon)}.
 *
 * @param coefficients where they go, (B, C, 2) of float32
 * @param gamma scale of each channel, or none
 * @param groups of channels
 * @param epsilon added to variances
 */
record GroupStatistics(Buffer coefficients, @Nullable Buffer gamma, int groups, double epsilon) {}
