package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.memory.Buffer;

/**
 * A 1x1x1 convolution of what a convolution gives, z: {@code y = weight z + bias + skip}, with as
 * many channels.
 *
 * @param weight (Cout, Cout, 1, 1, 1), in float32
 * @param bias of each channel, in float32, or none
 * @param skip as y, but not y itself, or none
 */
record Tail(Buffer weight, @Nullable Buffer bias, @Nullable Buffer skip) {}
