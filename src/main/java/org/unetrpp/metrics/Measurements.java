package org.unetrpp.metrics;

/**
 * All that metrics are made of.
 *
 * @param confusion of the two masks
 * @param voxelMilliliters volume of a voxel
 * @param distances between the surfaces
 * @param tolerance of the surface Dice, in the unit of the distances
 */
record Measurements(
    Confusion confusion, double voxelMilliliters, SurfaceDistances distances, double tolerance) {
  long tp() {
    return confusion.truePositives();
  }

  long fp() {
    return confusion.falsePositives();
  }

  long fn() {
    return confusion.falseNegatives();
  }

  long tn() {
    return confusion.trueNegatives();
  }
}
