package org.unetrpp.backend.cuda;

import org.unetrpp.memory.Buffer;

/**
 * What a convolution reads instead of x: {@code leakyRelu((x - mean) factor)}.
 *
 * @param coefficients mean and factor of each channel of each item, as {@link GroupStatistics} has
 *     them, (B, C, 2) of float32
 * @param slope of the LeakyReLU below zero; 1 for none
 */
record Prologue(Buffer coefficients, double slope) {}
