package org.unetrpp.pipeline;

import java.lang.foreign.MemorySegment;
import java.util.OptionalInt;
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
/// One class is resampled after the other, and only the best value and its label are kept. Memory:
/// [#peakBytes].
public final class Export {
  private static final int MAX_CLASSES = 256;

  private Export() {}

  /** Takes the probabilities of the classes as they are made. */
  @FunctionalInterface
  public interface ClassProbabilities {
    /**
     * One class is done; classes come in ascending order, on the thread that runs the export.
     *
     * @param label the class
     * @param probabilities (D, H, W) of the cropped image, to keep or change
     * @param extents size of the cropped image
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

  /**
   * About the most bytes that {@link #labels} holds beside the probabilities, for an image of O
   * voxels, X of them cropped, and probabilities of V voxels: {@code 5 X + O}, {@code 4 V} more if
   * the plan transposes, {@code 4 X} more if the probabilities are taken, and some slices a thread.
   */
  public static long peakBytes(CaseGeometry geometry, boolean takesProbabilities, int threads) {
    Extents crop = geometry.crop().extents();
    long best = crop.voxels() * (Float.BYTES + Byte.BYTES);
    long taken = takesProbabilities ? crop.voxels() * Float.BYTES : 0;
    boolean transposes = !geometry.transposeForward().equals(AxisOrder.IDENTITY);
    long transposed = transposes ? geometry.resampled().voxels() * Float.BYTES : 0;
    long scratch = resizeOf(geometry).scratchBytes(threads);
    return best + taken + transposed + scratch + geometry.original().voxels();
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
    VolumeResize resize = resizeOf(geometry);
    Extents crop = geometry.crop().extents();
    Best best = Best.of(crop);
    for (int index = 0; index < classes; index++) {
      int label = index;
      float[] taken = new float[taker == null ? 0 : Math.toIntExact(crop.voxels())];
      resize.run(
          "exporting class " + label,
          slices(probabilities.classes().get(label), geometry, workers),
          workers,
          (slice, rows) -> {
            best.offer(label, slice, rows);
            if (taken.length > 0) {
              ValueRange.unlimited(crop).store(slice, rows, taken, best.first(slice));
            }
          });
      if (taker != null) {
        taker.accept(label, taken, crop);
      }
    }
    return Crop.uncrop(best.labels, geometry.crop(), geometry.original());
  }

  /** From the network's voxels to those of the cropped image, both in the image's order of axes. */
  private static VolumeResize resizeOf(CaseGeometry geometry) {
    AxisOrder back = geometry.transposeForward().inverse();
    OptionalInt separateAxis =
        Resampling.separateAxis(geometry.originalSpacing(), geometry.resampledSpacing());
    return Resampling.resizeOf(
        back.apply(geometry.resampled()),
        geometry.crop().extents(),
        Interpolation.LINEAR,
        separateAxis,
        SplineRule.PINNED);
  }

  private static VolumeResize.SliceSource slices(
      MemorySegment volume, CaseGeometry geometry, Workers workers) {
    AxisOrder back = geometry.transposeForward().inverse();
    Extents extents = geometry.resampled();
    if (back.equals(AxisOrder.IDENTITY)) {
      return VolumeResize.slicesOf(volume, extents);
    }
    float[] transposed = Transposition.copy(volume, extents, Box.whole(extents), back, workers);
    return VolumeResize.slicesOf(MemorySegment.ofArray(transposed), back.apply(extents));
  }

  /**
   * The greatest probability so far at each voxel, and whose it is.
   *
   * @param extents size of the volume
   * @param values the probabilities
   * @param labels the classes
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Best(Extents extents, float[] values, byte[] labels) {
    static Best of(Extents extents) {
      int voxels = Math.toIntExact(extents.voxels());
      return new Best(extents, new float[voxels], new byte[voxels]);
    }

    int first(int slice) {
      return slice * extents.height() * extents.width();
    }

    void offer(int label, int slice, double[][] rows) {
      int voxel = first(slice);
      for (int row = 0; row < extents.height(); row++) {
        for (int column = 0; column < extents.width(); column++) {
          float value = (float) rows[row][column];
          if (label == 0 || value > values[voxel]) {
            values[voxel] = value;
            labels[voxel] = (byte) label;
          }
          voxel++;
        }
      }
    }
  }
}
