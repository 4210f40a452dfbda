package org.unetrpp.testing;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;

/** Places in the patient, stored along voxel axes of any order and direction. */
public final class StoredAxes {
  private final int[] world = new int[3]; // of i, j, k
  private final boolean[] ascending = new boolean[3];
  private final int[] voxels;
  private final Geometry geometry;

  /** Takes a voxel of the file, and its place counted toward right, anterior and superior. */
  @FunctionalInterface
  public interface Place {
    void accept(int voxel, int r, int a, int s);
  }

  /**
   * Stores along axes of these directions.
   *
   * @param codes such as {@code RAS}
   * @param voxels along right, anterior and superior, as the next two
   * @param spacing in mm
   * @param offset of the first place, in mm
   */
  public StoredAxes(String codes, int[] voxels, double[] spacing, double[] offset) {
    this.voxels = voxels;
    double[] rows = new double[12];
    for (int axis = 0; axis < 3; axis++) {
      char code = codes.charAt(axis);
      world[axis] = Math.max("RAS".indexOf(code), "LPI".indexOf(code));
      ascending[axis] = "RAS".indexOf(code) >= 0;
      double step = spacing[world[axis]];
      rows[world[axis] * 4 + axis] = ascending[axis] ? step : -step;
      rows[world[axis] * 4 + 3] =
          offset[world[axis]] + (ascending[axis] ? 0 : step * (voxels[world[axis]] - 1));
    }
    Extents extents = new Extents(voxels[world[2]], voxels[world[1]], voxels[world[0]]);
    geometry = new Geometry(extents, Affine.ofRows(rows));
  }

  /** The directions of all orders of the axes, each in both directions: 48. */
  public static Stream<String> codes() {
    List<String> codes = new ArrayList<>();
    for (String order : List.of("RAS", "RSA", "ARS", "ASR", "SRA", "SAR")) {
      for (int flips = 0; flips < 8; flips++) {
        StringBuilder code = new StringBuilder();
        for (int axis = 0; axis < 3; axis++) {
          int world = "RAS".indexOf(order.charAt(axis));
          code.append(((flips >> axis & 1) == 0 ? "RAS" : "LPI").charAt(world));
        }
        codes.add(code.toString());
      }
    }
    return codes.stream();
  }

  public Geometry geometry() {
    return geometry;
  }

  /** Shows all voxels in the order of the file. */
  public void forEach(Place place) {
    Extents extents = geometry.extents();
    int[] index = new int[3];
    int voxel = 0;
    for (index[2] = 0; index[2] < extents.depth(); index[2]++) {
      for (index[1] = 0; index[1] < extents.height(); index[1]++) {
        for (index[0] = 0; index[0] < extents.width(); index[0]++) {
          int[] ras = new int[3];
          for (int axis = 0; axis < 3; axis++) {
            int last = voxels[world[axis]] - 1;
            ras[world[axis]] = ascending[axis] ? index[axis] : last - index[axis];
          }
          place.accept(voxel++, ras[0], ras[1], ras[2]);
        }
      }
    }
  }
}
