package org.unetrpp.metrics;

import java.util.Random;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Spacing;

/** Label volumes made for tests. */
final class Labels {
  /** The label at an index. */
  @FunctionalInterface
  interface Rule {
    int at(int depth, int row, int column);
  }

  private Labels() {}

  static LabelVolume of(Extents extents, Spacing spacing, Rule rule) {
    byte[] labels = new byte[Math.toIntExact(extents.voxels())];
    int voxel = 0;
    for (int depth = 0; depth < extents.depth(); depth++) {
      for (int row = 0; row < extents.height(); row++) {
        for (int column = 0; column < extents.width(); column++) {
          labels[voxel] = (byte) rule.at(depth, row, column);
          voxel++;
        }
      }
    }
    return new LabelVolume(new Geometry(extents, Affine.ofSpacing(spacing)), labels);
  }

  /** Label 1 in a box whose ends do not belong to it. */
  static Rule box(int d0, int d1, int h0, int h1, int w0, int w1) {
    return (d, h, w) -> d0 <= d && d < d1 && h0 <= h && h < h1 && w0 <= w && w < w1 ? 1 : 0;
  }

  static Rule everywhere(int label) {
    return (_, _, _) -> label;
  }

  /**
   * Random labels, each voxel 1 to {@code labels} with some probability and else 0; the one in the
   * middle is 1.
   */
  static LabelVolume random(
      Extents extents, Spacing spacing, int labels, double share, Random random) {
    return of(
        extents,
        spacing,
        (d, h, w) -> {
          boolean middle =
              d == extents.depth() / 2 && h == extents.height() / 2 && w == extents.width() / 2;
          int label = 1 + random.nextInt(labels);
          return middle ? 1 : random.nextDouble() < share ? label : 0;
        });
  }
}
