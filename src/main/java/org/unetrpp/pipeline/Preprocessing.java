package org.unetrpp.pipeline;

import java.lang.foreign.Arena;
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
    requireClasses(image, classes);
    VoxelMask nonzero = Crop.nonzero(image, workers);
    Grid grid = Grid.of(image, nonzero.boundingBox(), plan);
    short[] labels = grid.labels(nonzero.withHolesFilled(), classes, workers);
    VoxelMask mask = plan.usesMask() ? grid.inside(labels) : null;
    return new LabeledCase(grid.channels(image, mask, workers), labels);
  }

  /**
   * As {@link #run(MultiChannelImage, PreprocessingPlan, Workers)}, and hands the image as it was
   * read, cropped, transposed, resampled and normalized to a listener, which takes memory for two
   * copies of the image more.
   */
  public static PreprocessedCase run(
      MultiChannelImage image, PreprocessingPlan plan, StageListener listener, Workers workers) {
    return runStaged(image, null, plan, listener, workers).image();
  }

  /** As {@link #runLabeled}, with the stages of the image and of the labels for a listener. */
  public static LabeledCase runLabeled(
      MultiChannelImage image,
      short[] classes,
      PreprocessingPlan plan,
      StageListener listener,
      Workers workers) {
    requireClasses(image, classes);
    return runStaged(image, classes, plan, listener, workers);
  }

  private static LabeledCase runStaged(
      MultiChannelImage image,
      short @Nullable [] classes,
      PreprocessingPlan plan,
      StageListener listener,
      Workers workers) {
    requireChannels(image, plan);
    VoxelMask nonzero = Crop.nonzero(image, workers);
    VoxelMask whole = nonzero.withHolesFilled();
    Grid grid = Grid.of(image, nonzero.boundingBox(), plan);
    boolean labeled = classes != null || plan.usesMask();
    PreprocessingStages stages =
        new PreprocessingStages(image, plan, grid.box, grid.resize(), grid.separateAxis, listener);
    stages.read(classes);
    stages.cropped(
        Crop.crop(image, grid.box, workers).channels(),
        labeled ? grid.cropped(whole, classes, AxisOrder.IDENTITY) : null,
        nonzero,
        whole.count());
    stages.transposed(
        grid.transposed(image, workers),
        labeled ? grid.cropped(whole, classes, plan.transposeForward()) : null);
    short[] labels = labeled ? grid.labels(whole, classes, workers) : null;
    List<float[]> channels = new ArrayList<>();
    for (float[] source : image.channels()) {
      channels.add(grid.resampled(MemorySegment.ofArray(source), workers));
    }
    stages.resampled(channels, labels);
    VoxelMask mask = labels != null && plan.usesMask() ? grid.inside(labels) : null;
    List<Normalization.Scale> scales = new ArrayList<>();
    for (int channel = 0; channel < channels.size(); channel++) {
      ChannelPlan channelPlan = plan.channels().get(channel);
      scales.add(
          Normalization.apply(channels.get(channel), channelPlan, mask, grid.precision(), workers));
    }
    stages.normalized(channels, labels, scales, grid.precision());
    return new LabeledCase(
        new PreprocessedCase(channels, grid.geometry()), labels == null ? new short[0] : labels);
  }

  /**
   * Prepares an image for windows that go along its depth. Slices are made as windows get to them
   * if no voxel depends on all others, which it does where a channel is normalized by statistics of
   * the case or is resampled along the depth by a B-spline; then the whole is made at once.
   *
   * @param capacity how many slices windows require at a time at the most
   * @param arena where slices live; must let every thread in
   * @throws IllegalArgumentException if the image has other channels than the plan
   */
  static PreparedImage open(
      MultiChannelImage image, PreprocessingPlan plan, int capacity, Arena arena, Workers workers) {
    requireChannels(image, plan);
    VoxelMask nonzero = Crop.nonzero(image, workers);
    Grid grid = Grid.of(image, nonzero.boundingBox(), plan);
    VoxelMask mask =
        plan.usesMask() ? grid.inside(grid.labels(nonzero.withHolesFilled(), null, workers)) : null;
    if (grid.isStreamed()) {
      return grid.streamed(image, mask, capacity, arena, workers);
    }
    PreprocessedCase whole = grid.channels(image, mask, workers);
    return new PreparedImage(
        new WindowedImage.Whole(whole.channels(), whole.extents()), whole.geometry());
  }

  private static void requireClasses(MultiChannelImage image, short[] classes) {
    if (classes.length != image.extents().voxels()) {
      throw new IllegalArgumentException(
          "%d labels, expected one for each voxel of %s"
              .formatted(classes.length, image.extents()));
    }
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
   * About the most bytes that {@link #run} holds beside the image: the resampled channels, the
   * scratch of the resampling, one channel cropped where the plan transposes, and the masks: one
   * bit for each voxel of the image, and where the plan uses the mask 2 bits more and 2 bytes for
   * each cropped and each resampled voxel.
   *
   * @param original size of the image; the estimate assumes that nothing is cropped
   * @param spacing of the image
   */
  public static long peakBytes(
      Extents original, Spacing spacing, PreprocessingPlan plan, int threads) {
    Grid grid = Grid.of(original, spacing, Box.whole(original), plan);
    boolean transposes = !plan.transposeForward().equals(AxisOrder.IDENTITY);
    long cropped = transposes ? grid.from.voxels() * Float.BYTES : 0;
    return grid.resultBytes() + cropped + grid.resize().scratchBytes(threads) + grid.maskBytes();
  }

  /** The same for {@link #open}, and what of it stays while windows are predicted. */
  static PreparedBytes openBytes(
      Extents original, Spacing spacing, PreprocessingPlan plan, int capacity, int threads) {
    Grid grid = Grid.of(original, spacing, Box.whole(original), plan);
    if (!grid.isStreamed()) {
      return new PreparedBytes(peakBytes(original, spacing, plan, threads), grid.resultBytes());
    }
    long ring = StreamedImage.bytes(grid.to, plan.channels().size(), capacity);
    long kept = ring + (plan.usesMask() ? grid.to.voxels() / Byte.SIZE : 0);
    return new PreparedBytes(kept + grid.maskBytes(), kept);
  }

  /**
   * Memory of a prepared image.
   *
   * @param peak while it is prepared
   * @param kept afterwards
   */
  record PreparedBytes(long peak, long kept) {}

  /**
   * The cropped and transposed case before and after resampling.
   *
   * @param original size of the image
   * @param spacing of the image
   * @param box the part of the image that is kept
   * @param plan what to make of it
   * @param from size before resampling, transposed
   * @param to size after resampling, transposed
   * @param separateAxis across which slices are resampled separately, transposed
   */
  private record Grid(
      Extents original,
      Spacing spacing,
      Box box,
      PreprocessingPlan plan,
      Extents from,
      Extents to,
      OptionalInt separateAxis) {
    static Grid of(MultiChannelImage image, Box box, PreprocessingPlan plan) {
      return of(image.extents(), image.spacing(), box, plan);
    }

    static Grid of(Extents original, Spacing spacing, Box box, PreprocessingPlan plan) {
      AxisOrder order = plan.transposeForward();
      Spacing transposed = order.apply(spacing);
      Spacing target = plan.targetFor(transposed);
      Extents from = order.apply(box.extents());
      return new Grid(
          original,
          spacing,
          box,
          plan,
          from,
          Resampling.newExtents(from, transposed, target),
          Resampling.separateAxis(transposed, target));
    }

    CaseGeometry geometry() {
      AxisOrder order = plan.transposeForward();
      return new CaseGeometry(
          original, spacing, box, order, to, plan.targetFor(order.apply(spacing)));
    }

    VolumeResize resize() {
      return Resampling.resizeOf(from, to, Interpolation.CUBIC, separateAxis, plan.splineRule());
    }

    boolean isStreamed() {
      return !resize().depth().isSpline()
          && plan.channels().stream().allMatch(Normalization::isPointwise);
    }

    long resultBytes() {
      return to.voxels() * Float.BYTES * plan.channels().size();
    }

    long maskBytes() {
      long bits = from.voxels() / Byte.SIZE;
      return plan.usesMask() ? 3 * bits + (from.voxels() + to.voxels()) * Short.BYTES : bits;
    }

    private Normalization.Precision precision() {
      return from.equals(to) ? Normalization.Precision.DOUBLE : Normalization.Precision.FLOAT;
    }

    PreparedImage streamed(
        MultiChannelImage image,
        @Nullable VoxelMask mask,
        int capacity,
        Arena arena,
        Workers workers) {
      List<StreamedImage.Channel> channels = new ArrayList<>();
      for (int channel = 0; channel < plan.channels().size(); channel++) {
        ChannelPlan channelPlan = plan.channels().get(channel);
        VolumeResize.SliceSource slices =
            TurnedSlices.of(
                    MemorySegment.ofArray(image.channels().get(channel)),
                    original,
                    box,
                    plan.transposeForward())
                .withoutNaN();
        ValueRange range =
            from.equals(to)
                ? ValueRange.unlimited(to)
                : ValueRange.of(slices, from, separateAxis, workers).resized(to, separateAxis);
        channels.add(
            new StreamedImage.Channel(
                slices,
                range,
                Normalization.pointwise(channelPlan, precision()),
                channelPlan.useMask()));
      }
      return new PreparedImage(
          new StreamedImage(resize(), channels, mask, capacity, arena), geometry());
    }

    PreprocessedCase channels(MultiChannelImage image, @Nullable VoxelMask mask, Workers workers) {
      List<float[]> channels = new ArrayList<>();
      for (int channel = 0; channel < plan.channels().size(); channel++) {
        float[] source = image.channels().get(channel);
        channels.add(channel(source, plan.channels().get(channel), mask, workers));
      }
      return new PreprocessedCase(channels, geometry());
    }

    private float[] channel(
        float[] source, ChannelPlan channelPlan, @Nullable VoxelMask mask, Workers workers) {
      float[] resampled = resampled(MemorySegment.ofArray(source), workers);
      Normalization.Scale _ =
          Normalization.apply(resampled, channelPlan, mask, precision(), workers);
      return resampled;
    }

    private float[] resampled(MemorySegment source, Workers workers) {
      AxisOrder order = plan.transposeForward();
      boolean transposes = !order.equals(AxisOrder.IDENTITY);
      if (transposes || from.equals(to)) {
        float[] cropped = transposed(source, workers);
        return Resampling.image(cropped, from, to, separateAxis, plan.splineRule(), workers);
      }
      return Resampling.resize(
          TurnedSlices.of(source, original, box, order).withoutNaN(),
          from,
          to,
          Interpolation.CUBIC,
          separateAxis,
          plan.splineRule(),
          workers);
    }

    /** The cropped channels in the network's order of axes. */
    List<float[]> transposed(MultiChannelImage image, Workers workers) {
      return image.channels().stream()
          .map(channel -> transposed(MemorySegment.ofArray(channel), workers))
          .toList();
    }

    private float[] transposed(MemorySegment source, Workers workers) {
      float[] cropped = Transposition.copy(source, original, box, plan.transposeForward(), workers);
      clearNaN(cropped);
      return cropped;
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
      short[] cropped = cropped(whole, classes, plan.transposeForward());
      return Resampling.labels(cropped, from, to, separateAxis, workers);
    }

    /** Labels of the box, in an order of axes: the classes or 0, and -1 as {@link #labels} says. */
    short[] cropped(VoxelMask whole, short @Nullable [] classes, AxisOrder order) {
      int[] strides = {original.height() * original.width(), original.width(), 1};
      Extents extents = order.apply(box.extents());
      short[] labels = new short[Math.toIntExact(extents.voxels())];
      int voxel = 0;
      for (int depth = 0; depth < extents.depth(); depth++) {
        int slice = (box.origin().along(order.first()) + depth) * strides[order.first()];
        for (int row = 0; row < extents.height(); row++) {
          int line = (box.origin().along(order.second()) + row) * strides[order.second()];
          for (int column = 0; column < extents.width(); column++) {
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
