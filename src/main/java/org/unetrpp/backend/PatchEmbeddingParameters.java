package org.unetrpp.backend;

import org.unetrpp.memory.Buffer;

/**
 * A patch embedding: a convolution whose kernel is its stride, then group normalization.
 *
 * @param name in published checkpoints, such as {@code unetr_pp_encoder.downsample_layers.0}
 * @param convolution its shape
 * @param weight (Cout, Cin, kD, kH, kW)
 * @param groups channel groups of the normalization
 * @param gamma scale, (Cout)
 * @param beta shift, (Cout)
 */
public record PatchEmbeddingParameters(
    String name, Convolution convolution, Buffer weight, int groups, Buffer gamma, Buffer beta) {}
