package org.unetrpp.convert;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;

/**
 * How a published network's images were prepared: what inference needs of a plans file. Axes are in
 * the order that the network sees, after {@code transposeForward}.
 *
 * @param trainer class name of the trainer, if the file says it
 * @param stage the stage of the plan that was trained
 * @param modalities name of each image channel, such as {@code CT}
 * @param classes labels including background
 * @param spacing of the images the network sees, in millimeters
 * @param patch the planned patch in voxels; trainers may have used another
 * @param transposeForward the axes of the source image in the order the network sees them
 * @param normalizations scheme of each channel, such as {@code CT} or {@code nonCT}
 * @param useMask for each channel whether normalization left out what lies outside of the body
 * @param intensities of each channel over the training set's foreground; empty if not recorded
 * @param interpolation how results are resampled, if the plan says it
 */
public record TrainingPlan(
    Optional<String> trainer,
    int stage,
    List<String> modalities,
    int classes,
    Spacing spacing,
    Extents patch,
    List<Integer> transposeForward,
    List<String> normalizations,
    List<Boolean> useMask,
    List<Intensities> intensities,
    Optional<Interpolation> interpolation) {
  public TrainingPlan {
    modalities = List.copyOf(modalities);
    transposeForward = List.copyOf(transposeForward);
    normalizations = List.copyOf(normalizations);
    useMask = List.copyOf(useMask);
    intensities = List.copyOf(intensities);
  }

  /**
   * Intensities of a channel over the foreground of the training set.
   *
   * @param mean mean
   * @param standardDeviation standard deviation
   * @param percentile005 0.5th percentile
   * @param percentile995 99.5th percentile
   */
  public record Intensities(
      double mean, double standardDeviation, double percentile005, double percentile995) {}

  /**
   * How results are resampled to the source image.
   *
   * @param separateDepth whether slices are resampled apart; empty to decide by the spacing
   * @param order spline order within slices
   * @param orderDepth spline order between slices
   */
  public record Interpolation(Optional<Boolean> separateDepth, int order, int orderDepth) {}

  /**
   * Reads the {@code .pkl} beside a checkpoint, or a bare plans file, of which the last stage
   * counts.
   *
   * @throws org.unetrpp.files.InvalidFileException if the file is damaged, holds what is not plain
   *     data, or lacks a part of the plan
   */
  public static TrainingPlan read(Path path) throws IOException {
    return new TrainingPlanReader(path).read(Unpickler.file(path));
  }
}
