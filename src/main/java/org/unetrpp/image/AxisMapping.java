package org.unetrpp.image;

import java.util.Optional;
import org.unetrpp.grid.Extents;

/**
 * Where the voxels of a grid lie in an array whose axes have another order or direction, such as a
 * label volume that a tool stored from right to left and its image from left to right.
 */
public final class AxisMapping {
  /** How far voxels may lie beside each other, in voxels. */
  private static final double TOLERANCE = 0.02;

  private final Geometry source;
  private final Geometry target;

  /** Where the target's first voxel lies in the source's array. */
  private final int first;

  /** Distance in the source's array of neighbors along the target's axes i, j and k. */
  private final int[] strides;

  private AxisMapping(Geometry source, Geometry target, int first, int[] strides) {
    this.source = source;
    this.target = target;
    this.first = first;
    this.strides = strides;
  }

  /** The mapping between two grids; empty unless their voxels are the same places. */
  public static Optional<AxisMapping> between(Geometry source, Geometry target) {
    int[] lengths = fileOrder(source.extents());
    int[] steps = {1, lengths[0], lengths[0] * lengths[1]};
    if (source.isCloseTo(target)) {
      return Optional.of(new AxisMapping(source, target, 0, steps));
    }
    if (source.affine().isSingular()) {
      return Optional.empty();
    }
    Affine toSource = source.affine().inverse();
    double[] origin = index(toSource, target, 0, 0, 0);
    int first = 0;
    for (int axis = 0; axis < 3; axis++) {
      first += (int) Math.rint(origin[axis]) * steps[axis];
    }
    int[] ends = fileOrder(target.extents());
    int[] strides = new int[3];
    boolean[] taken = new boolean[3];
    for (int axis = 0; axis < 3; axis++) {
      int[] unit = new int[3];
      unit[axis] = 1;
      double[] next = index(toSource, target, unit[0], unit[1], unit[2]);
      int along = 0;
      for (int i = 1; i < 3; i++) {
        boolean longer = Math.abs(next[i] - origin[i]) > Math.abs(next[along] - origin[along]);
        along = longer ? i : along;
      }
      int direction = next[along] > origin[along] ? 1 : -1;
      int end = direction > 0 ? 0 : lengths[along] - 1;
      if (taken[along] || ends[axis] != lengths[along] || !isClose(origin[along], end)) {
        return Optional.empty();
      }
      taken[along] = true;
      strides[axis] = direction * steps[along];
    }
    AxisMapping mapping = new AxisMapping(source, target, first, strides);
    return mapping.meetsCorners(toSource) ? Optional.of(mapping) : Optional.empty();
  }

  /** Whether every corner of the target lies on the voxel that the strides lead to. */
  private boolean meetsCorners(Affine toSource) {
    int[] ends = fileOrder(target.extents());
    int[] lengths = fileOrder(source.extents());
    for (int corner = 0; corner < 8; corner++) {
      int i = (corner & 1) * (ends[0] - 1);
      int j = (corner >> 1 & 1) * (ends[1] - 1);
      int k = (corner >> 2) * (ends[2] - 1);
      double[] place = index(toSource, target, i, j, k);
      int voxel = first + i * strides[0] + j * strides[1] + k * strides[2];
      if (!isClose(place[0], voxel % lengths[0])
          || !isClose(place[1], voxel / lengths[0] % lengths[1])
          || !isClose(place[2], voxel / (lengths[0] * lengths[1]))) {
        return false;
      }
    }
    return true;
  }

  private static boolean isClose(double index, int voxel) {
    return Math.abs(index - voxel) <= TOLERANCE;
  }

  private static double[] index(Affine toSource, Geometry target, int i, int j, int k) {
    double[] place = target.affine().apply(i, j, k);
    return toSource.apply(place[0], place[1], place[2]);
  }

  private static int[] fileOrder(Extents extents) {
    return new int[] {extents.width(), extents.height(), extents.depth()};
  }

  /** The same intensities on the target grid; the volume itself if that is its own. */
  public Volume apply(Volume volume) {
    requireSource(volume);
    if (source.isCloseTo(target)) {
      return volume;
    }
    float[] from = volume.voxels();
    float[] to = new float[from.length];
    forEach((place, voxel) -> to[voxel] = from[place]);
    return new Volume(target, to);
  }

  /** The same labels on the target grid; the volume itself if that is its own. */
  public LabelVolume apply(LabelVolume volume) {
    requireSource(volume);
    if (source.isCloseTo(target)) {
      return volume;
    }
    byte[] from = volume.labels();
    byte[] to = new byte[from.length];
    forEach((place, voxel) -> to[voxel] = from[place]);
    return new LabelVolume(target, to);
  }

  private void requireSource(OnGrid volume) {
    if (!volume.extents().equals(source.extents())) {
      throw new IllegalArgumentException(
          "volume of %s, expected %s".formatted(volume.extents(), source.extents()));
    }
  }

  /** Takes a place in the source's array and the voxel of the target's that lies there. */
  @FunctionalInterface
  private interface PairSink {
    void accept(int place, int voxel);
  }

  private void forEach(PairSink sink) {
    Extents extents = target.extents();
    int voxel = 0;
    for (int k = 0; k < extents.depth(); k++) {
      for (int j = 0; j < extents.height(); j++) {
        int place = first + k * strides[2] + j * strides[1];
        for (int i = 0; i < extents.width(); i++) {
          sink.accept(place, voxel++);
          place += strides[0];
        }
      }
    }
  }
}
