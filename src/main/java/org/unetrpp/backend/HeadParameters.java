package org.unetrpp.backend;

import org.unetrpp.memory.Buffer;

/**
 * A 1x1x1 convolution to classes.
 *
 * @param name in published checkpoints, such as {@code out1.conv.conv}
 * @param inChannels Cin
 * @param classes K
 * @param weight (K, Cin, 1, 1, 1)
 * @param bias (K)
 */
public record HeadParameters(
    String name, int inChannels, int classes, Buffer weight, Buffer bias) {}
