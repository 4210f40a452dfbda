package org.unetrpp.pipeline;

import org.unetrpp.grid.Extents;

/**
 * Weights of a patch's voxels where patches overlap: a Gaussian around the voxel at half of each
 * extent, with a standard deviation of an eighth of it, 1 at the most.
 *
 * <p>It is what a Gaussian filter with a kernel of radius {@code floor(4 sigma + 1/2)} makes of a
 * single 1 in double, divided by its maximum and rounded to float; zeros become the least value
 * above zero.
 */
public final class ImportanceMap {
  private static final double SIGMA_PER_EXTENT = 1.0 / 8;
  private static final double RADIUS_IN_SIGMA = 4;

  private ImportanceMap() {}

  /** The weights of a patch as (D, H, W). */
  public static float[] of(Extents patch) {
    double[] depth = line(patch.depth());
    double[] height = line(patch.height());
    double[] width = line(patch.width());
    double greatest =
        depth[patch.depth() / 2] * height[patch.height() / 2] * width[patch.width() / 2];
    float[] map = new float[Math.toIntExact(patch.voxels())];
    float least = Float.POSITIVE_INFINITY;
    int voxel = 0;
    for (double alongDepth : depth) {
      for (double alongHeight : height) {
        for (double alongWidth : width) {
          float weight = (float) (alongDepth * alongHeight * alongWidth / greatest);
          least = weight > 0 ? Math.min(least, weight) : least;
          map[voxel] = weight;
          voxel++;
        }
      }
    }
    for (int index = 0; index < map.length; index++) {
      map[index] = Math.max(map[index], least);
    }
    return map;
  }

  /** The normalized kernel around the middle of a line, 0 beyond its radius. */
  private static double[] line(int length) {
    double sigma = length * SIGMA_PER_EXTENT;
    int radius = (int) (RADIUS_IN_SIGMA * sigma + 0.5);
    double sum = 0;
    for (int offset = -radius; offset <= radius; offset++) {
      sum += gaussian(offset, sigma);
    }
    double[] line = new double[length];
    for (int index = 0; index < length; index++) {
      int offset = index - length / 2;
      line[index] = Math.abs(offset) <= radius ? gaussian(offset, sigma) / sum : 0;
    }
    return line;
  }

  private static double gaussian(int offset, double sigma) {
    return Math.exp(-0.5 / (sigma * sigma) * ((double) offset * offset));
  }
}
