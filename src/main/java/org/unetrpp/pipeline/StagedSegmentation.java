package org.unetrpp.pipeline;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import com.google.gson.JsonArray;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.pipeline.PipelineStage.Layer;
import org.unetrpp.pipeline.PipelineStage.Name;
import org.unetrpp.pipeline.StageClock.Stage;

/**
 * What {@link VolumeSegmentation} does, stage by stage, for a listener: every stage is made as a
 * whole, so memory grows with the image and, by 4 bytes a voxel that the network sees, with the
 * classes. The labels are the same bytes.
 */
public final class StagedSegmentation {
  private final PatchPredictor predictor;
  private final SlidingWindow.Settings settings;
  private final StageListener listener;

  private StagedSegmentation(
      PatchPredictor predictor, SlidingWindow.Settings settings, StageListener listener) {
    this.predictor = predictor;
    this.settings = settings;
    this.listener = listener;
  }

  /**
   * Segments an image.
   *
   * @param takesProbabilities whether the result holds them, and the listener gets those of what
   *     the network sees
   * @param listener takes all stages but the last, {@link PipelineStage.Name#LABELS}
   * @return as {@link VolumeSegmentation#run}, which tells of errors alike
   */
  public static VolumeSegmentation.Result run(
      MultiChannelImage image,
      PreprocessingPlan plan,
      PatchPredictor predictor,
      SlidingWindow.Settings settings,
      boolean takesProbabilities,
      StageListener listener,
      Workers workers,
      StageClock clock) {
    PreprocessedCase prepared =
        clock.timed(Stage.PREPROCESS, () -> Preprocessing.run(image, plan, listener, workers));
    StagedSegmentation staged = new StagedSegmentation(predictor, settings, listener);
    CaseGeometry geometry = prepared.geometry();
    staged.padded(prepared);
    try (Arena arena = Arena.ofShared()) {
      List<MemorySegment> classes = new ArrayList<>();
      SlidingWindow.stream(
          new WindowedImage.Whole(prepared.channels(), prepared.extents()),
          predictor,
          settings,
          prepared.extents().depth(),
          arena,
          workers,
          clock,
          (ring, end) -> {
            classes.addAll(ring.classes());
            return end;
          });
      ProbabilityVolume probabilities = new ProbabilityVolume(classes, prepared.extents());
      if (takesProbabilities) {
        staged.probabilities(probabilities, geometry);
      }
      List<float[]> taken = new ArrayList<>();
      byte[] labels =
          clock.timed(
              Stage.FINISH,
              () ->
                  takesProbabilities
                      ? Export.labels(
                          probabilities, geometry, (_, values, _) -> taken.add(values), workers)
                      : Export.labels(probabilities, geometry, workers));
      staged.argmax(labels, geometry);
      return new VolumeSegmentation.Result(labels, taken);
    }
  }

  private static StageGrid resampled(CaseGeometry geometry) {
    return StageGrid.whole(geometry.original())
        .box(geometry.crop())
        .transposed(geometry.transposeForward())
        .resized(geometry.resampled());
  }

  private void padded(PreprocessedCase prepared) {
    Extents extents = prepared.extents();
    Extents patch = predictor.patch();
    int[] below = new int[3];
    int[] to = new int[3];
    for (int axis = 0; axis < 3; axis++) {
      int missing = Math.max(patch.along(axis) - extents.along(axis), 0);
      below[axis] = missing / 2;
      to[axis] = extents.along(axis) + missing;
    }
    Extents origin = Extents.of(below);
    Extents padded = Extents.of(to);
    List<Layer> layers = new ArrayList<>();
    for (int channel = 0; channel < prepared.channels().size(); channel++) {
      float[] voxels = prepared.channels().get(channel);
      layers.add(
          new Layer(Layer.numbered(channel), false, () -> padded(voxels, extents, origin, padded)));
    }
    listener.accept(
        new PipelineStage(
            Name.PADDED,
            resampled(prepared.geometry()).padded(origin, padded),
            layers,
            windows(padded)
                .with("paddedBelow", origin)
                .with("shapeBefore", extents)
                .with("shapeAfter", padded)
                .json()));
  }

  private static float[] padded(float[] voxels, Extents extents, Extents origin, Extents to) {
    float[] result = new float[Math.toIntExact(to.voxels())];
    for (int row = 0; row < extents.depth() * extents.height(); row++) {
      int slice = row / extents.height() + origin.depth();
      int line = row % extents.height() + origin.height();
      int target = (slice * to.height() + line) * to.width() + origin.width();
      System.arraycopy(voxels, row * extents.width(), result, target, extents.width());
    }
    return result;
  }

  /** Where windows lie in the padded image, and how they are mirrored and weighted. */
  private StageParameters windows(Extents padded) {
    Extents patch = predictor.patch();
    int windows = 1;
    JsonArray starts = new JsonArray();
    for (int axis = 0; axis < 3; axis++) {
      JsonArray along = new JsonArray();
      for (int start :
          SlidingWindow.starts(padded.along(axis), patch.along(axis), settings.step())) {
        along.add(start);
      }
      starts.add(along);
      windows *= along.size();
    }
    JsonArray mirrorings = new JsonArray();
    for (Mirroring mirroring : settings.mirroring().combinations()) {
      JsonArray axes = new JsonArray();
      if (mirroring.depth()) {
        axes.add(0);
      }
      if (mirroring.height()) {
        axes.add(1);
      }
      if (mirroring.width()) {
        axes.add(2);
      }
      mirrorings.add(axes);
    }
    return new StageParameters()
        .with("patch", patch)
        .with("step", settings.step())
        .with("windowStarts", starts)
        .with("windows", windows)
        .with("mirroredAxes", mirrorings)
        .with("gaussianImportance", windows > 1);
  }

  private void probabilities(ProbabilityVolume probabilities, CaseGeometry geometry) {
    List<Layer> layers = new ArrayList<>();
    for (int label = 0; label < probabilities.classes().size(); label++) {
      MemorySegment values = probabilities.classes().get(label);
      layers.add(new Layer(Layer.numbered(label), false, () -> values.toArray(JAVA_FLOAT)));
    }
    listener.accept(
        new PipelineStage(
            Name.PROBABILITIES,
            resampled(geometry),
            layers,
            new StageParameters()
                .with("shape", geometry.resampled())
                .with("classes", layers.size())
                .json()));
  }

  private void argmax(byte[] labels, CaseGeometry geometry) {
    AxisOrder back = geometry.transposeForward().inverse();
    Spacing before = geometry.resampledSpacing();
    VolumeResize resize = SlabExport.resizeOf(geometry);
    StageParameters parameters =
        new StageParameters()
            .with("transposeBackward", back)
            .with("spacingBefore", back.apply(before))
            .with("spacingAfter", geometry.originalSpacing())
            .with("shapeBefore", resize.from())
            .with("shapeAfter", resize.to())
            .with("order", 1)
            .with("kernels", PreprocessingStages.kernels(resize));
    byte[] cropped = cropped(labels, geometry.crop(), geometry.original());
    listener.accept(
        new PipelineStage(
            Name.ARGMAX,
            StageGrid.whole(geometry.original()).box(geometry.crop()),
            List.of(Layer.ofLabels(cropped)),
            PreprocessingStages.separate(
                    parameters,
                    Resampling.separateAxis(geometry.originalSpacing(), before),
                    geometry.originalSpacing(),
                    before)
                .json()));
  }

  private static byte[] cropped(byte[] labels, Box box, Extents original) {
    Extents extents = box.extents();
    byte[] part = new byte[Math.toIntExact(extents.voxels())];
    for (int row = 0; row < extents.depth() * extents.height(); row++) {
      int slice = box.origin().depth() + row / extents.height();
      int line = box.origin().height() + row % extents.height();
      int first = (slice * original.height() + line) * original.width() + box.origin().width();
      System.arraycopy(labels, first, part, row * extents.width(), extents.width());
    }
    return part;
  }
}
