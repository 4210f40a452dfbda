package org.unetrpp.pipeline;

import java.util.List;
import org.unetrpp.grid.Extents;

/**
 * What is done with the windows that {@link WindowedPrediction} goes through. Slices are made
 * ready, finished and cleared in ascending order.
 *
 * @param <S> how slices that are done are seen
 */
interface WindowWork<S> {
  /** How many slices of sums are kept at a time. */
  int capacity();

  /** Takes slices of the image that the next windows cover and that are ready there. */
  void enter(int from, int to);

  /**
   * How windows that begin at one slice are predicted: the order of the batches, all mirrorings.
   */
  List<WindowBatch> batches(List<Extents> origins);

  /**
   * Predicts windows and adds what comes out where it belongs, or queues that with some batches
   * before it.
   */
  void predict(WindowBatch batch);

  /**
   * Makes probabilities of the sums of slices.
   *
   * @return with these, and with those before that were not cleared
   * @throws ArithmeticException if one is not a finite number
   */
  S finish(int first, int end);

  /** Makes room for others in place of some slices. */
  void clear(int first, int end);
}
