package org.unetrpp.pipeline;

import java.util.EnumMap;
import java.util.Map;
import java.util.function.Supplier;

/** Adds up how long each stage of a segmentation takes. For the thread that runs it. */
public final class StageClock {
  private static final double NANOS_OF_A_SECOND = 1e9;

  /** A part of the work between the image and its labels. */
  public enum Stage {
    /** Crop, resample, normalize. */
    PREPROCESS,
    /** Windows through the network. */
    NETWORK,
    /**
     * Cutting windows out of the image, averaging them over mirrorings and adding them up; or the
     * way of the image's slices to where the network does that.
     */
    AGGREGATE,
    /** Sums to probabilities, resampled to the image's grid, to labels. */
    FINISH
  }

  private final Map<Stage, Long> nanos = new EnumMap<>(Stage.class);

  /** Does some work of a stage. */
  public void time(Stage stage, Runnable work) {
    long start = System.nanoTime();
    try {
      work.run();
    } finally {
      add(stage, System.nanoTime() - start);
    }
  }

  /** Does some work of a stage while that of another is being timed, which stands still. */
  void interrupt(Stage other, Stage stage, Runnable work) {
    long start = System.nanoTime();
    try {
      work.run();
    } finally {
      long elapsed = System.nanoTime() - start;
      add(stage, elapsed);
      add(other, -elapsed);
    }
  }

  /** Makes something in a stage. */
  public <T> T timed(Stage stage, Supplier<T> work) {
    long start = System.nanoTime();
    T result = work.get();
    add(stage, System.nanoTime() - start);
    return result;
  }

  private void add(Stage stage, long elapsed) {
    nanos.merge(stage, elapsed, Long::sum);
  }

  /** Adds seconds to a stage. */
  void add(Stage stage, double seconds) {
    add(stage, Math.round(seconds * NANOS_OF_A_SECOND));
  }

  /** Seconds of a stage so far. */
  public double seconds(Stage stage) {
    return nanos.getOrDefault(stage, 0L) / NANOS_OF_A_SECOND;
  }
}
