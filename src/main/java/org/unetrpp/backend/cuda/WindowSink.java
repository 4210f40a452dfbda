package org.unetrpp.backend.cuda;

/**
 * Sums of windows that a head may add its probabilities to, instead of giving them: then they are
 * neither rounded nor written and read again.
 */
final class WindowSink {
  private final long step;
  private final int windows;
  private boolean taken;

  /**
   * A sink.
   *
   * @param step address of a {@link WindowStep}
   * @param windows of a step, whose items are those of the head's batch, window by window
   */
  WindowSink(long step, int windows) {
    this.step = step;
    this.windows = windows;
  }

  long step() {
    return step;
  }

  int windows() {
    return windows;
  }

  /** Says that the head adds its probabilities and gives none. */
  void take() {
    taken = true;
  }

  boolean isTaken() {
    return taken;
  }
}
