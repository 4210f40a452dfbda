package org.unetrpp.backend.cpu.machine;

/**
 * Addresses of what a convolution reads and writes.
 *
 * @param x (B, D, H, W, Cin)
 * @param affine means, scales and shifts of the channels of each item, for a convolution that
 *     normalizes what it reads; else 0
 * @param weights as the convolution reads them
 * @param bias of each output channel, or 0
 * @param addend (B, D', H', W', Cout), where one is added; else 0
 * @param y (B, D', H', W', Cout); if 0, only the follower sees the result
 */
public record Operands(long x, long affine, long weights, long bias, long addend, long y) {}
