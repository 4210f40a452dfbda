package org.unetrpp.mask;

/** Which voxels are neighbors. */
public enum Connectivity {
  /** Those that share a face: 6 of a voxel. */
  FACES,
  /** Those that share a face, an edge or a corner: 26 of a voxel. */
  CORNERS
}
