package org.unetrpp.augmentation;

import org.unetrpp.grid.Extents;

/** Takes a patch from a larger one: its middle, or a rotated and scaled part of it. */
final class SpatialTransform {
  private SpatialTransform() {}

  /** The middle of a patch; where the difference is odd, the side of the low indices is shorter. */
  static Patch centerCrop(Patch patch, Extents extents) {
    Extents from = patch.extents();
    int voxels = Math.toIntExact(extents.voxels());
    float[] image = new float[patch.channels() * voxels];
    short[] labels = new short[voxels];
    int width = extents.width();
    for (int slice = 0; slice < extents.depth(); slice++) {
      for (int row = 0; row < extents.height(); row++) {
        int source =
            ((start(from, extents, 0) + slice) * from.height() + start(from, extents, 1) + row)
                    * from.width()
                + start(from, extents, 2);
        int target = (slice * extents.height() + row) * width;
        System.arraycopy(patch.labels(), source, labels, target, width);
        for (int channel = 0; channel < patch.channels(); channel++) {
          System.arraycopy(
              patch.image(),
              channel * patch.labels().length + source,
              image,
              channel * voxels + target,
              width);
        }
      }
    }
    return new Patch(patch.channels(), extents, image, labels);
  }

  private static int start(Extents from, Extents to, int axis) {
    return (from.along(axis) - to.along(axis)) / 2;
  }

  /** A patch on a grid. */
  static Patch sample(Patch patch, SamplingGrid grid) {
    int voxels = Math.toIntExact(grid.target().voxels());
    float[] image = new float[patch.channels() * voxels];
    for (int channel = 0; channel < patch.channels(); channel++) {
      sampleImage(patch.image(), channel * patch.labels().length, grid, image, channel * voxels);
    }
    return new Patch(patch.channels(), grid.target(), image, sampleLabels(patch.labels(), grid));
  }

  /** A channel by cubic B-splines; 0 outside of the source. */
  private static void sampleImage(
      float[] source, int first, SamplingGrid grid, float[] target, int firstTarget) {
    SplineVolume spline =
        new SplineVolume(
            source, first, grid.source(), grid.footprint(SplineVolume.MARGIN), grid.sliceWise());
    double[][] positions = new double[3][grid.target().width()];
    int index = firstTarget;
    for (int slice = 0; slice < grid.target().depth(); slice++) {
      for (int row = 0; row < grid.target().height(); row++) {
        grid.row(slice, row, positions);
        for (int column = 0; column < grid.target().width(); column++) {
          double d = positions[0][column];
          double h = positions[1][column];
          double w = positions[2][column];
          target[index++] = isInside(grid, d, h, w) ? (float) spline.at(d, h, w) : 0;
        }
      }
    }
  }

  /**
   * Labels: the indicator of each label is interpolated linearly and claims the voxels where it is
   * at least 1/2, the higher label winning a tie. Outside of the source, and where no label claims
   * a voxel, is 0.
   */
  static short[] sampleLabels(short[] source, SamplingGrid grid) {
    LinearLabels linear = new LinearLabels(source, grid);
    short[] labels = new short[Math.toIntExact(grid.target().voxels())];
    double[][] positions = new double[3][grid.target().width()];
    int index = 0;
    for (int slice = 0; slice < grid.target().depth(); slice++) {
      for (int row = 0; row < grid.target().height(); row++) {
        grid.row(slice, row, positions);
        for (int column = 0; column < grid.target().width(); column++) {
          double d = positions[0][column];
          double h = positions[1][column];
          double w = positions[2][column];
          labels[index++] = isInside(grid, d, h, w) ? linear.at(d, h, w) : 0;
        }
      }
    }
    return labels;
  }

  private static boolean isInside(SamplingGrid grid, double d, double h, double w) {
    return grid.isInside(0, d) && grid.isInside(1, h) && grid.isInside(2, w);
  }

  /** The label at a position. */
  private static final class LinearLabels {
    private static final int CORNERS = 8;

    private final short[] labels;
    private final Extents extents;
    private final short[] corners = new short[CORNERS];

    LinearLabels(short[] labels, SamplingGrid grid) {
      this.labels = labels;
      this.extents = grid.source();
    }

    short at(double depth, double height, double width) {
      int d = (int) depth;
      int h = (int) height;
      int w = (int) width;
      // Past the last voxel lies only what has no weight.
      int nextSlice = d + 1 < extents.depth() ? extents.height() * extents.width() : 0;
      int nextRow = h + 1 < extents.height() ? extents.width() : 0;
      int nextColumn = w + 1 < extents.width() ? 1 : 0;
      int first = (d * extents.height() + h) * extents.width() + w;
      boolean same = true;
      for (int corner = 0; corner < CORNERS; corner++) {
        corners[corner] =
            labels[
                first
                    + (corner >> 2) * nextSlice
                    + (corner >> 1 & 1) * nextRow
                    + (corner & 1) * nextColumn];
        same &= corners[corner] == corners[0];
      }
      return same ? corners[0] : winner(depth - d, height - h, width - w);
    }

    private short winner(double depth, double height, double width) {
      boolean found = false;
      short winner = 0;
      for (short label : corners) {
        if ((!found || label > winner) && weight(label, depth, height, width) >= 0.5) {
          winner = label;
          found = true;
        }
      }
      return winner;
    }

    private double weight(short label, double depth, double height, double width) {
      double sum = 0;
      for (int corner = 0; corner < CORNERS; corner++) {
        if (corners[corner] == label) {
          sum +=
              ((corner >> 2) == 0 ? 1 - depth : depth)
                  * ((corner >> 1 & 1) == 0 ? 1 - height : height)
                  * ((corner & 1) == 0 ? 1 - width : width);
        }
      }
      return sum;
    }
  }
}
