package org.unetrpp.sampling;

import org.unetrpp.grid.Extents;

/**
 * Patches that a network is trained on together.
 *
 * @param size B
 * @param channels C
 * @param extents D, H, W of each patch
 * @param image (B, C, D, H, W)
 * @param labels class of each voxel, (B, D, H, W)
 */
public record Batch(int size, int channels, Extents extents, float[] image, short[] labels) {}
