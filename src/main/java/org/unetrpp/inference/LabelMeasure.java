package org.unetrpp.inference;

import java.util.List;
import org.unetrpp.image.LabelVolume;

/**
 * How much of a volume has a label.
 *
 * @param label which
 * @param voxels their number
 * @param milliliters their volume by the voxel spacing
 */
public record LabelMeasure(LabelClass label, long voxels, double milliliters) {
  private static final int VALUES = 256;
  private static final double CUBIC_MILLIMETERS_OF_A_MILLILITER = 1000;

  /** The measures of each class but background, in their order; 0 where a label does not occur. */
  public static List<LabelMeasure> of(LabelVolume volume, List<LabelClass> classes) {
    long[] counts = new long[VALUES];
    for (byte label : volume.labels()) {
      counts[Byte.toUnsignedInt(label)]++;
    }
    double voxel = volume.spacing().voxelVolume() / CUBIC_MILLIMETERS_OF_A_MILLILITER;
    return classes.stream()
        .filter(label -> label.value() != 0)
        .map(label -> new LabelMeasure(label, counts[label.value()], counts[label.value()] * voxel))
        .toList();
  }
}
