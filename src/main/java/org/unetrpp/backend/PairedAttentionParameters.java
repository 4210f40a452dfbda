package org.unetrpp.backend;

import org.jspecify.annotations.Nullable;
import org.unetrpp.memory.Buffer;

/**
 * Efficient paired attention with what surrounds it in a transformer block (Shaker et al. 2024,
 * figure 2 and equations 1 to 4): positions, layer normalization, both branches, their fusion, the
 * scale gamma and the residual.
 *
 * @param name of the transformer block in published checkpoints, such as {@code
 *     unetr_pp_encoder.stages.0.0}
 * @param channels C
 * @param heads h, a divisor of C
 * @param tokens N
 * @param projected P
 * @param positions added to the tokens, (N, C)
 * @param normGamma scale of the layer normalization, (C)
 * @param normBeta shift of the layer normalization, (C)
 * @param gamma scale of the attention before it is added, (C)
 * @param temperature of the channel branch, (h)
 * @param temperature2 of the spatial branch, (h)
 * @param qkvv projections to shared query, shared key, channel value, spatial value: (4 C, C)
 * @param keys projection of the keys' tokens
 * @param values projection of the spatial values' tokens
 * @param fusion joins the branches: two linear layers, or none for the plain sum
 */
public record PairedAttentionParameters(
    String name,
    int channels,
    int heads,
    int tokens,
    int projected,
    Buffer positions,
    Buffer normGamma,
    Buffer normBeta,
    Buffer gamma,
    Buffer temperature,
    Buffer temperature2,
    Buffer qkvv,
    Projection keys,
    Projection values,
    @Nullable Concatenation fusion) {
  /**
   * N tokens to P.
   *
   * @param name in published checkpoints: {@code E}, {@code F} or {@code EF}
   * @param weight (P, N), or (N, P) if {@code tokenMajor}
   * @param tokenMajor which of the two
   * @param bias (P), or none
   */
  public record Projection(String name, Buffer weight, boolean tokenMajor, @Nullable Buffer bias) {}

  /**
   * A linear layer C to C/2 on each branch; the spatial half comes first.
   *
   * @param spatialWeight (C / 2, C), {@code out_proj}
   * @param spatialBias (C / 2)
   * @param channelWeight (C / 2, C), {@code out_proj2}
   * @param channelBias (C / 2)
   */
  public record Concatenation(
      Buffer spatialWeight, Buffer spatialBias, Buffer channelWeight, Buffer channelBias) {}

  /** Whether keys and values are projected along the tokens by different weights. */
  public boolean hasTwoProjections() {
    return !keys.weight().equals(values.weight());
  }

  /** Channels of one head, d. */
  public int headChannels() {
    return channels / heads;
  }
}
