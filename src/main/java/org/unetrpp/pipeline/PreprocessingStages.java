package org.unetrpp.pipeline;

import com.google.gson.JsonArray;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import org.unetrpp.image.Spacing;
import org.unetrpp.pipeline.PipelineStage.Layer;
import org.unetrpp.pipeline.PipelineStage.Name;

/**
 * Tells a listener of the stages of preprocessing; labels are null where a case has none and its
 * plan uses no mask.
 *
 * @param image what is preprocessed
 * @param plan how
 * @param box the part of the image that is kept
 * @param resize between the cropped and transposed image and what the network sees
 * @param separateAxis across which slices are resampled separately
 * @param listener takes the stages
 */
record PreprocessingStages(
    MultiChannelImage image,
    PreprocessingPlan plan,
    Box box,
    VolumeResize resize,
    OptionalInt separateAxis,
    StageListener listener) {
  void read(short @Nullable [] labels) {
    hand(
        Name.READ,
        whole(),
        image.channels(),
        labels,
        new StageParameters().with("shape", image.extents()).with("spacing", image.spacing()));
  }

  void cropped(List<float[]> channels, short @Nullable [] labels, VoxelMask nonzero, int filled) {
    JsonArray bounds = new JsonArray();
    for (int axis = 0; axis < 3; axis++) {
      JsonArray ends = new JsonArray();
      ends.add(box.origin().along(axis));
      ends.add(box.end(axis));
      bounds.add(ends);
    }
    hand(
        Name.CROP,
        whole().box(box),
        channels,
        labels,
        new StageParameters()
            .with("box", bounds)
            .with("shapeBefore", image.extents())
            .with("shapeAfter", box.extents())
            .with("nonzeroVoxels", nonzero.count())
            .with("nonzeroVoxelsWithHolesFilled", filled)
            .with("sizeReduction", (double) box.extents().voxels() / image.extents().voxels()));
  }

  void transposed(List<float[]> channels, short @Nullable [] labels) {
    hand(
        Name.TRANSPOSED,
        transposed(),
        channels,
        labels,
        new StageParameters()
            .with("transposeForward", plan.transposeForward())
            .with("shape", resize.from())
            .with("spacing", spacing()));
  }

  void resampled(List<float[]> channels, short @Nullable [] labels) {
    Spacing target = plan.targetFor(spacing());
    StageParameters parameters =
        new StageParameters()
            .with("spacingBefore", spacing())
            .with("spacingAfter", target)
            .with("shapeBefore", resize.from())
            .with("shapeAfter", resize.to())
            .with("splineRule", plan.splineRule().name())
            .with("order", 3)
            .with("orderOfLabels", 1)
            .with("kernels", kernels(resize));
    hand(
        Name.RESAMPLED,
        resampled(),
        channels,
        labels,
        separate(parameters, separateAxis, spacing(), target));
  }

  void normalized(
      List<float[]> channels,
      short @Nullable [] labels,
      List<Normalization.Scale> scales,
      Normalization.Precision precision) {
    JsonArray all = new JsonArray();
    for (int channel = 0; channel < scales.size(); channel++) {
      ChannelPlan channelPlan = plan.channels().get(channel);
      Normalization.Scale scale = scales.get(channel);
      StageParameters one =
          new StageParameters()
              .with("name", channelPlan.name())
              .with("scheme", channelPlan.scheme().name())
              .with("useMask", channelPlan.useMask());
      if (channelPlan.scheme().needsStatistics()) {
        one.with("low", scale.low()).with("high", scale.high());
      }
      all.add(one.with("mean", scale.mean()).with("divisor", scale.sd()).json());
    }
    hand(
        Name.NORMALIZED,
        resampled(),
        channels,
        labels,
        new StageParameters()
            .with("arithmetic", precision == Normalization.Precision.FLOAT ? "float32" : "float64")
            .with("channels", all));
  }

  /** What the network sees. */
  StageGrid resampled() {
    return transposed().resized(resize.to());
  }

  /** The kernel along each axis. */
  static JsonArray kernels(VolumeResize resize) {
    JsonArray kernels = new JsonArray();
    for (int axis = 0; axis < 3; axis++) {
      kernels.add(resize.along(axis).description());
    }
    return kernels;
  }

  /** Adds whether slices are resampled separately, and why. */
  static StageParameters separate(
      StageParameters parameters, OptionalInt axis, Spacing original, Spacing target) {
    return parameters
        .with("separateAxis", axis)
        .with("separateBecause", Resampling.separateReason(original, target))
        .with("orderAcrossSlices", axis.isPresent() ? OptionalInt.of(0) : OptionalInt.empty());
  }

  private StageGrid whole() {
    return StageGrid.whole(image.extents());
  }

  private StageGrid transposed() {
    return whole().box(box).transposed(plan.transposeForward());
  }

  private Spacing spacing() {
    return plan.transposeForward().apply(image.spacing());
  }

  private void hand(
      Name name,
      StageGrid grid,
      List<float[]> channels,
      short @Nullable [] labels,
      StageParameters parameters) {
    List<Layer> layers = new ArrayList<>();
    for (int channel = 0; channel < channels.size(); channel++) {
      layers.add(Layer.ofChannel(channel, channels.get(channel)));
    }
    if (labels != null) {
      layers.add(Layer.ofLabels(labels));
    }
    listener.accept(new PipelineStage(name, grid, layers, parameters.json()));
  }
}
