package org.unetrpp.backend;

import org.jspecify.annotations.Nullable;
import org.unetrpp.memory.Buffer;

/**
 * A residual convolution block: convolution, norm, LeakyReLU, convolution, norm, plus the input,
 * LeakyReLU; with the projection that closes a transformer block where there is one.
 *
 * @param name in published checkpoints, such as {@code encoder1} or {@code ....conv51}
 * @param inChannels Cin
 * @param outChannels Cout
 * @param weight1 of the first convolution, (Cout, Cin, 3, 3, 3)
 * @param norm1 after it
 * @param weight2 of the second convolution, (Cout, Cout, 3, 3, 3)
 * @param norm2 after it
 * @param shortcut 1x1x1 convolution of the input, (Cout, Cin, 1, 1, 1), followed by a norm like
 *     {@code norm2}; none if Cin = Cout. Only instance normalization has one.
 * @param tail closes a transformer block, or none
 */
public record ResidualBlockParameters(
    String name,
    int inChannels,
    int outChannels,
    Buffer weight1,
    ChannelNorm norm1,
    Buffer weight2,
    ChannelNorm norm2,
    @Nullable Buffer shortcut,
    @Nullable Tail tail) {
  /** Slope of LeakyReLU below zero. */
  public static final double SLOPE = 0.01;

  /**
   * A 1x1x1 convolution of the block's result, added to another tensor: {@code y = skip + W z + b}.
   *
   * @param name in published checkpoints, such as {@code ....conv8}
   * @param weight (Cout, Cout, 1, 1, 1)
   * @param bias (Cout)
   */
  public record Tail(String name, Buffer weight, Buffer bias) {}
}
