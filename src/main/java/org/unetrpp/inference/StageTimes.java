package org.unetrpp.inference;

import org.unetrpp.pipeline.StageClock;
import org.unetrpp.pipeline.StageClock.Stage;

/**
 * How long the stages of a segmentation took, in seconds on the clock.
 *
 * @param preprocess crop, resample, normalize
 * @param network windows through the network, to the device and back included
 * @param aggregate cutting windows out of the image, averaging over mirrorings, adding up; on a
 *     device that keeps the image that is the network's time, and this the way of its slices there
 * @param finish sums to probabilities, resampled to the image's grid, to labels
 */
public record StageTimes(double preprocess, double network, double aggregate, double finish) {
  static StageTimes of(StageClock clock) {
    return new StageTimes(
        clock.seconds(Stage.PREPROCESS),
        clock.seconds(Stage.NETWORK),
        clock.seconds(Stage.AGGREGATE),
        clock.seconds(Stage.FINISH));
  }

  /** All stages. */
  public double total() {
    return preprocess + network + aggregate + finish;
  }
}
