package org.unetrpp.dataset;

import com.google.errorprone.annotations.MustBeClosed;
import java.util.function.BooleanSupplier;
import org.unetrpp.pipeline.Progress;
import org.unetrpp.pipeline.Workers;

/**
 * Threads that handle cases side by side, as many as memory allows; what is left of them works
 * within each case.
 */
public final class CaseWorkers implements AutoCloseable {
  private final Workers across;
  private final Workers within;

  private CaseWorkers(Workers across, Workers within) {
    this.across = across;
    this.within = within;
  }

  /**
   * Workers for cases of a size.
   *
   * @param threads in all, 1 or more
   * @param caseBytes of memory that the largest case takes
   * @param cancelled asked whether to stop
   * @param progress told of cases done
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with the object that is returned
  public static CaseWorkers of(
      int threads, long caseBytes, BooleanSupplier cancelled, Progress progress) {
    long fitting = Runtime.getRuntime().maxMemory() / 2 / Math.max(1, caseBytes);
    int sideBySide = Math.clamp(fitting, 1, threads);
    return new CaseWorkers(
        new Workers(sideBySide, cancelled, progress),
        new Workers(threads / sideBySide, cancelled, Progress.NONE));
  }

  /** Those that take a case each. */
  Workers across() {
    return across;
  }

  /** Those that work within a case. */
  Workers within() {
    return within;
  }

  @Override
  public void close() {
    across.close();
    within.close();
  }
}
