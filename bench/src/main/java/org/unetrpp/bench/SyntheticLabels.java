package org.unetrpp.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Nifti;
import org.unetrpp.image.NiftiHeader;
import org.unetrpp.image.Spacing;

/**
 * Two label volumes to time evaluation with: thirteen organs with uneven surfaces as the reference,
 * and the same moved and swollen a little, with specks all over the body, as the prediction.
 */
public final class SyntheticLabels {
  /** How many organs there are, with labels from 1. */
  public static final int ORGANS = 13;

  private static final int SPECKS = 100;
  private static final int EDGE = 512;
  private static final Spacing SPACING = new Spacing(1.0, 0.8, 0.8);

  private final Extents extents;
  private final byte[] labels;

  private SyntheticLabels(Extents extents) {
    this.extents = extents;
    this.labels = new byte[Math.toIntExact(extents.voxels())];
  }

  /** Writes {@code reference.nii.gz} and {@code prediction.nii.gz} of so many slices. */
  static void write(Path folder, int slices) throws IOException {
    Files.createDirectories(folder);
    Extents extents = new Extents(slices, EDGE, EDGE);
    Geometry geometry = new Geometry(extents, Affine.ofSpacing(SPACING));
    NiftiHeader header = NiftiHeader.of(geometry);
    SyntheticLabels reference = new SyntheticLabels(extents);
    reference.addOrgans(0);
    SyntheticLabels prediction = new SyntheticLabels(extents);
    prediction.addOrgans(1);
    prediction.addSpecks();
    Nifti.writeLabels(
        folder.resolve("reference.nii.gz"), new LabelVolume(geometry, reference.labels), header);
    Nifti.writeLabels(
        folder.resolve("prediction.nii.gz"), new LabelVolume(geometry, prediction.labels), header);
  }

  /**
   * @param change how far they are from those of the reference
   */
  private void addOrgans(double change) {
    Random random = new Random(13);
    for (int label = 1; label <= ORGANS; label++) {
      double[] center = new double[3];
      double[] radius = new double[3];
      for (int axis = 0; axis < 3; axis++) {
        double extent = extents.along(axis);
        center[axis] =
            extent * (0.22 + 0.56 * random.nextDouble()) + change * 3 * random.nextGaussian();
        radius[axis] =
            extent
                * (0.05 + 0.15 * random.nextDouble())
                * (1 + change * 0.03 * random.nextGaussian());
      }
      addBlob(label, center, radius, 0.15, change * 0.7);
    }
  }

  private void addSpecks() {
    Random random = new Random(60);
    for (int speck = 0; speck < SPECKS; speck++) {
      double[] center = new double[3];
      double[] radius = new double[3];
      for (int axis = 0; axis < 3; axis++) {
        center[axis] = extents.along(axis) * (0.1 + 0.8 * random.nextDouble());
        radius[axis] = 0.6 + 3 * random.nextDouble();
      }
      addBlob(1 + random.nextInt(ORGANS), center, radius, 0, 0);
    }
  }

  /** An ellipsoid whose surface goes in and out by a share of its radius. */
  private void addBlob(
      int label, double[] center, double[] radius, double unevenness, double phase) {
    int[] low = new int[3];
    int[] high = new int[3];
    for (int axis = 0; axis < 3; axis++) {
      double reach = radius[axis] * (1 + unevenness);
      low[axis] = Math.max(0, (int) Math.floor(center[axis] - reach));
      high[axis] = Math.min(extents.along(axis), (int) Math.ceil(center[axis] + reach) + 1);
    }
    for (int depth = low[0]; depth < high[0]; depth++) {
      double z = (depth - center[0]) / radius[0];
      for (int row = low[1]; row < high[1]; row++) {
        double y = (row - center[1]) / radius[1];
        int start = (depth * extents.height() + row) * extents.width();
        for (int column = low[2]; column < high[2]; column++) {
          double x = (column - center[2]) / radius[2];
          double wave = Math.sin(5 * z + phase) * Math.sin(6 * y - phase) * Math.sin(7 * x);
          if (z * z + y * y + x * x <= 1 + unevenness * wave) {
            labels[start + column] = (byte) label;
          }
        }
      }
    }
  }
}
