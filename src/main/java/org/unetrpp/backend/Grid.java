package org.unetrpp.backend;

import org.unetrpp.grid.Extents;

/**
 * The places of a batch of activations, (B, D, H, W, C) in memory: a place holds the C channels of
 * one voxel, which is one token.
 *
 * @param batch B
 * @param extents D, H, W
 */
public record Grid(int batch, Extents extents) {
  /** Voxels, or tokens, of one item of the batch. */
  public int tokens() {
    return Math.toIntExact(extents.voxels());
  }

  /** Voxels of the whole batch. */
  public long rows() {
    return (long) batch * extents.voxels();
  }

  /** The grid that a convolution with kernel = stride leaves. */
  public Grid dividedBy(Extents stride) {
    return new Grid(batch, extents.dividedBy(stride));
  }

  /** The grid that a transposed convolution with kernel = stride gives. */
  public Grid times(Extents stride) {
    return new Grid(batch, extents.times(stride));
  }
}
