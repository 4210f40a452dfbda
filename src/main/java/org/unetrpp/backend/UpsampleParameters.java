package org.unetrpp.backend;

import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/**
 * A transposed convolution whose kernel is its stride.
 *
 * @param name in published checkpoints, such as {@code decoder5.transp_conv.conv}
 * @param inChannels Cin
 * @param outChannels Cout
 * @param stride kernel and stride
 * @param weight (Cin, Cout, kD, kH, kW)
 */
public record UpsampleParameters(
    String name, int inChannels, int outChannels, Extents stride, Buffer weight) {}
