package org.unetrpp.pipeline;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;

/**
 * Makes of an image what the network sees: crop to what is not zero, transpose, NaN to 0, resample
 * to the target spacing, normalize; in this order, as published.
 *
 * <p>An image of zeros is not cropped. The mask that some plans use is the nonzero mask with its
 * holes filled, resampled like a label with 0 inside and -1 outside.
 */
public final class Preprocessing {
  private static final short INSIDE = 0;
  private static final short OUTSIDE = -1;

  private Preprocessing() {}

  /**
   * Preprocesses a case. Its arrays are not changed. Infinite voxels are the caller's to refuse
   * ({@link MultiChannelImage#requireFinite}): they would spread over what is resampled.
   *
   * @throws IllegalArgumentException if the image has other channels than the plan
   */
  public static PreprocessedCase run(
      MultiChannelImage image, PreprocessingPlan plan, Workers workers) {
    requireChannels(image, plan);
    VoxelMask nonzero = Crop.nonzero(image, workers);
    Grid grid = Grid.of(image, nonzero.boundingBox(), plan);
    VoxelMask mask =
        plan.usesMask() ? grid.inside(grid.labels(nonzero.withHolesFilled(), null, workers)) : null;
    return grid.channels(image, mask, workers);
  }

  /**
   * Preprocesses a case with its labels, as {@link #run} does. Labels are cropped, transposed and
   * resampled with the image; where they say background outside of the nonzero mask with its holes
   * filled, they become -1. The mask that some plans use is where the resampled labels are not -1.
   *
   * @param classes class of each voxel of the image, background 0; not changed
   * @throws IllegalArgumentException if the image has other channels than the plan, or there is not
   *     one class a voxel
   */
  public static LabeledCase runLabeled(
      MultiChannelImage image, short[] classes, PreprocessingPlan plan, Workers workers) {
    requireChannels(image, plan);
    if (classes.length != image.extents().voxels()) {
      throw new IllegalArgumentException(
          "%d labels, expected one for each voxel of %s"
              .formatted(classes.length, image.extents()));
    }
    VoxelMask nonzero = Crop.nonzero(image, workers);
    Grid grid = Grid.of(image, nonzero.boundingBox(), plan);
    short[] labels = grid.labels(nonzero.withHolesFilled(), classes, workers);
    VoxelMask mask = plan.usesMask() ? grid.inside(labels) : null;
    return new LabeledCase(grid.channels(image, mask, workers), labels);
  }

  private static void requireChannels(MultiChannelImage image, PreprocessingPlan plan) {
    if (image.channels().size() != plan.channels().size()) {
      throw new IllegalArgumentException(
          "image of %d channels, expected %d as in the plan: %s"
              .formatted(
                  image.channels().size(),
                  plan.channels().size(),
                  plan.channels().stream().map(ChannelPlan::name).toList()));
    }
  }

  /**
   * About the most bytes that {@link #run} holds beside the image: the resampled channels, one
   * channel cropped, the scratch of the resampling, and the masks: one bit for each voxel of the
   * image, and where the plan uses the mask 2 bits more and 2 bytes for each cropped and each
   * resampled voxel.
   *
   * @param original size of the image; the estimate assumes that nothing is cropped
   * @param spacing of the image
   */
  public static long peakBytes(
      Extents original, Spacing spacing, PreprocessingPlan plan, int threads) {
    AxisOrder order = plan.transposeForward();
    Extents from = order.apply(original);
    Spacing transposed = order.apply(spacing);
    Spacing target = plan.targetFor(transposed);
    Extents to = Resampling.newExtents(from, transposed, target);
    OptionalInt separateAxis = Resampling.separateAxis(transposed, target);
    long scratch =
        Resampling.resizeOf(from, to, Interpolation.CUBIC, separateAxis, plan.splineRule())
            .scratchBytes(threads);
    long results = to.voxels() * Float.BYTES * plan.channels().size();
    long cropped = from.voxels() * Float.BYTES;
    long masks = from.voxels() / Byte.SIZE;
    if (plan.usesMask()) {
      masks = 3 * masks + (from.voxels() + to.voxels()) * Short.BYTES;
    }
    return results + cropped + scratch + masks;
  }

  /**
   * The cropped and transposed case before and after resampling.
   *
   * @param original size of the image
   * @param box the part of the image that is kept
   * @param plan what to make of it
   * @param from size before resampling, transposed
   * @param to size after resampling, transposed
   * @param separateAxis across which slices are resampled separately, transposed
   */
  private record Grid(
      Extents original,
      Box box,
      PreprocessingPlan plan,
      Extents from,
      Extents to,
      OptionalInt separateAxis) {
    static Grid of(MultiChannelImage image, Box box, PreprocessingPlan plan) {
      AxisOrder order = plan.transposeForward();
      Spacing spacing = order.apply(image.spacing());
      Spacing target = plan.targetFor(spacing);
      Extents from = order.apply(box.extents());
      return new Grid(
          image.extents(),
          box,
          plan,
          from,
          Resampling.newExtents(from, spacing, target),
          Resampling.separateAxis(spacing, target));
    }

    PreprocessedCase channels(MultiChannelImage image, @Nullable VoxelMask mask, Workers workers) {
      List<float[]> channels = new ArrayList<>();
      for (int channel = 0; channel < plan.channels().size(); channel++) {
        float[] source = image.channels().get(channel);
        channels.add(channel(source, plan.channels().get(channel), mask, workers));
      }
      AxisOrder order = plan.transposeForward();
      CaseGeometry geometry =
          new CaseGeometry(
              original,
              image.spacing(),
              box,
              order,
              to,
              plan.targetFor(order.apply(image.spacing())));
      return new PreprocessedCase(channels, geometry);
    }

    private float[] channel(
        float[] source, ChannelPlan channelPlan, @Nullable VoxelMask mask, Workers workers) {
      float[] cropped =
          Transposition.copy(
              MemorySegment.ofArray(source), original, box, plan.transposeForward(), workers);
      clearNaN(cropped);
      float[] resampled =
          Resampling.image(cropped, from, to, separateAxis, plan.splineRule(), workers);
      Normalization.Precision precision =
          from.equals(to) ? Normalization.Precision.DOUBLE : Normalization.Precision.FLOAT;
      Normalization.apply(resampled, channelPlan, mask, precision, workers);
      return resampled;
    }

    private static void clearNaN(float[] voxels) {
      for (int voxel = 0; voxel < voxels.length; voxel++) {
        if (Float.isNaN(voxels[voxel])) {
          voxels[voxel] = 0;
        }
      }
    }

    /** Where resampled labels are not -1. */
    VoxelMask inside(short[] labels) {
      Bits bits = Bits.none(labels.length);
      for (int voxel = 0; voxel < labels.length; voxel++) {
        if (labels[voxel] >= INSIDE) {
          bits.set(voxel, voxel + 1);
        }
      }
      return new VoxelMask(to, bits);
    }

    /** Resampled labels: the classes or 0, and -1 for background outside of the mask. */
    short[] labels(VoxelMask whole, short @Nullable [] classes, Workers workers) {
      return Resampling.labels(cropped(whole, classes), from, to, separateAxis, workers);
    }

    private short[] cropped(VoxelMask whole, short @Nullable [] classes) {
      int[] strides = {original.height() * original.width(), original.width(), 1};
      AxisOrder order = plan.transposeForward();
      short[] labels = new short[Math.toIntExact(from.voxels())];
      int voxel = 0;
      for (int depth = 0; depth < from.depth(); depth++) {
        int slice = (box.origin().along(order.first()) + depth) * strides[order.first()];
        for (int row = 0; row < from.height(); row++) {
          int line = (box.origin().along(order.second()) + row) * strides[order.second()];
          for (int column = 0; column < from.width(); column++) {
            int along = (box.origin().along(order.third()) + column) * strides[order.third()];
            int index = slice + line + along;
            short label = classes == null ? INSIDE : classes[index];
            labels[voxel] = label == INSIDE && !whole.contains(index) ? OUTSIDE : label;
            voxel++;
          }
        }
      }
      return labels;
    }
  }
}
