package org.unetrpp.pipeline;

import org.jspecify.annotations.Nullable;
import org.unetrpp.grid.Extents;

/// Makes labels on the grid of the image of the probabilities that the network gave: transpose
/// back, resample linearly to the size after cropping, take the class of the greatest probability
/// (the first of equal ones), put it where it was cropped.
///
/// Across which axis slices are separate is found from the original spacing and then from that
/// after resampling. The latter is in the network's order of axes, as in the published program;
/// that only matters for plans that transpose and images that are less anisotropic than the target.
///
/// [VolumeSegmentation] does the same without ever holding all probabilities.
public final class Export {
  private static final int MAX_CLASSES = 256;

  private Export() {}

  /** Takes the probabilities of the classes. */
  @FunctionalInterface
  public interface ClassProbabilities {
    /**
     * One class; classes come in ascending order, on the thread that runs the export.
     *
     * @param label the class
     * @param probabilities (D, H, W) of the image, to keep or change; outside of the crop
     *     background is certain
     * @param extents size of the image
     */
    void accept(int label, float[] probabilities, Extents extents);
  }

  /**
   * Labels of the whole image.
   *
   * @return a label for each voxel of {@code geometry.original()}, unsigned, 0 outside of the crop
   * @throws IllegalArgumentException if the probabilities are not of the geometry's extents, or of
   *     no class or more than 256
   */
  public static byte[] labels(
      ProbabilityVolume probabilities, CaseGeometry geometry, Workers workers) {
    return export(probabilities, geometry, null, workers);
  }

  /**
   * Labels of the whole image, and the probabilities they come from.
   *
   * @param classes takes the probabilities
   * @return as {@link #labels(ProbabilityVolume, CaseGeometry, Workers)}
   */
  public static byte[] labels(
      ProbabilityVolume probabilities,
      CaseGeometry geometry,
      ClassProbabilities classes,
      Workers workers) {
    return export(probabilities, geometry, classes, workers);
  }

  private static byte[] export(
      ProbabilityVolume probabilities,
      CaseGeometry geometry,
      @Nullable ClassProbabilities taker,
      Workers workers) {
    int classes = probabilities.classes().size();
    if (!probabilities.extents().equals(geometry.resampled())
        || classes < 1
        || classes > MAX_CLASSES) {
      throw new IllegalArgumentException(
          "probabilities of %d classes and %s voxels, expected 1 to %d classes and %s voxels"
              .formatted(classes, probabilities.extents(), MAX_CLASSES, geometry.resampled()));
    }
    SlabExport export = new SlabExport(geometry, classes, taker != null, workers);
    int _ = export.accept(ProbabilityRing.of(probabilities), geometry.resampled().depth());
    for (int label = 0; taker != null && label < classes; label++) {
      taker.accept(label, export.probabilities().get(label), geometry.original());
    }
    return export.labels();
  }

  /**
   * About the most bytes that {@link #labels} holds beside the probabilities, for an image of O
   * voxels: {@code O}, {@code 4 K O} more if the probabilities of K classes are taken, and some
   * slices a thread.
   */
  public static long peakBytes(
      CaseGeometry geometry, int classes, boolean takesProbabilities, int threads) {
    long voxels = geometry.original().voxels();
    long taken = takesProbabilities ? voxels * Float.BYTES * classes : 0;
    return voxels + taken + SlabExport.scratchBytes(geometry, threads);
  }
}
