package org.unetrpp.backend.cuda;

import org.unetrpp.backend.cuda.driver.CudaDriver;

/** Times work between two events of a stream. */
final class EventStopwatch implements Stopwatch {
  private static final int SERIES = 3;
  private static final int MAX_REPEATS = 50;
  private static final double SERIES_MILLIS = 2; // far above what the events themselves cost

  private final CudaDriver driver;
  private final CudaDriver.Stream stream;

  EventStopwatch(CudaDriver driver, CudaDriver.Stream stream) {
    this.driver = driver;
    this.stream = stream;
  }

  /** The quickest of three series, each of a single run or of some milliseconds. */
  @Override
  public double millis(Runnable work) {
    CudaDriver.Event begin = driver.createEvent();
    CudaDriver.Event end = driver.createEvent();
    try {
      double once = series(work, 1, begin, end);
      int repeats = (int) Math.clamp(SERIES_MILLIS / once, 1, MAX_REPEATS);
      double best = Double.MAX_VALUE;
      for (int i = 0; i < SERIES; i++) {
        best = Math.min(best, series(work, repeats, begin, end) / repeats);
      }
      return best;
    } finally {
      driver.destroy(begin);
      driver.destroy(end);
    }
  }

  private double series(Runnable work, int repeats, CudaDriver.Event begin, CudaDriver.Event end) {
    driver.record(begin, stream);
    for (int i = 0; i < repeats; i++) {
      work.run();
    }
    driver.record(end, stream);
    return driver.elapsedMillis(begin, end);
  }
}
