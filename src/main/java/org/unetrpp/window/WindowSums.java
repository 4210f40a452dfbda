package org.unetrpp.window;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.unetrpp.grid.Extents;

/**
 * One image on a device, and the sums of what a network gives for its windows. Slices take turns in
 * memory: those of the image that {@link #enter} brings take the place of the earliest, those of
 * the sums are free again when {@link #clear} was called. Work may be queued: what a method gives
 * back is done, and what was queued has failed at the latest when something is given back.
 */
public interface WindowSums extends AutoCloseable {
  /** Windows that {@link #add} takes at once. */
  int windowsAtOnce();

  /**
   * Takes a slice of a channel; slices come in ascending order.
   *
   * @param values (H, W) of float, which may be changed afterwards
   */
  void enter(int channel, int slice, MemorySegment values);

  /**
   * Predicts windows in every way to mirror them and adds the means of their probabilities, times
   * the importance, to the sums.
   *
   * @param origins first voxels of at most {@link #windowsAtOnce} windows, which may lie outside
   */
  void add(List<Extents> origins);

  /** Waits for what is queued. */
  void await();

  /**
   * Divides the sums of slices by those of the importance, which makes probabilities of them.
   *
   * @param first slice
   * @param end past the last slice
   * @return index in (K, D, H, W) of the first that is no finite number; -1 if all are
   */
  long average(int first, int end);

  /**
   * Copies a slice of the sums or probabilities of a class.
   *
   * @param target takes (H, W) of float
   */
  void download(int label, int slice, MemorySegment target);

  /**
   * Resamples probabilities and takes the class of the greatest at each place, the first of equal
   * ones.
   *
   * @param axes depth, height and width of the labels, each along another axis of the image and
   *     with two taps at most; sums are in double, first over the depth's taps, last over the
   *     width's
   * @return (D, H, W) of the labels
   */
  byte[] labels(List<AxisTaps> axes);

  /** Makes zeros of slices whose sums were needed until now. */
  void clear(int first, int end);

  @Override
  void close();
}
