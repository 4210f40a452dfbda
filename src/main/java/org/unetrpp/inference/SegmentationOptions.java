package org.unetrpp.inference;

import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.unetrpp.pipeline.Progress;
import org.unetrpp.pipeline.SlidingWindow;

/**
 * How a volume is segmented.
 *
 * @param window how patches are laid and mirrored
 * @param progress told of what is done, on the calling thread
 * @param cancelled asked, by several threads, whether to stop
 * @param probabilities takes the probabilities of each class, or null
 */
public record SegmentationOptions(
    SlidingWindow.Settings window,
    Progress progress,
    BooleanSupplier cancelled,
    @Nullable ProbabilityListener probabilities) {
  /** As published: windows half a patch apart, mirrored along every axis; nobody watches. */
  public static final SegmentationOptions PUBLISHED =
      new SegmentationOptions(SlidingWindow.Settings.PUBLISHED, Progress.NONE, () -> false, null);

  /** Takes the probabilities of a volume, one class after the other. */
  @FunctionalInterface
  public interface ProbabilityListener {
    /**
     * One class is done.
     *
     * @param label which one
     * @param probabilities on the grid of the image, (D, H, W), to keep; outside of the part of the
     *     image that is not zero background is certain
     */
    void accept(LabelClass label, float[] probabilities);
  }

  /** The same with other windows. */
  public SegmentationOptions withWindow(SlidingWindow.Settings settings) {
    return new SegmentationOptions(settings, progress, cancelled, probabilities);
  }

  /** The same, watched by {@code listener}. */
  public SegmentationOptions withProgress(Progress listener) {
    return new SegmentationOptions(window, listener, cancelled, probabilities);
  }

  /** The same, stopped with a {@code CancellationException} when {@code condition} holds. */
  public SegmentationOptions cancelledWhen(BooleanSupplier condition) {
    return new SegmentationOptions(window, progress, condition, probabilities);
  }

  /** The same, handing the probabilities to {@code listener}. */
  public SegmentationOptions withProbabilities(ProbabilityListener listener) {
    return new SegmentationOptions(window, progress, cancelled, listener);
  }
}
