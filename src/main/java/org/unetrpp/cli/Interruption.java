package org.unetrpp.cli;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Turns Ctrl-C into a request to stop: the running command sees it, gives up cleanly and removes
 * what it had half-written, and only then the process ends.
 */
final class Interruption implements AutoCloseable {
  private static final long PATIENCE_SECONDS = 20;
  private static volatile boolean requested;

  private final CountDownLatch finished = new CountDownLatch(1);
  private final Thread hook =
      new Thread(
          () -> {
            requested = true;
            try {
              boolean _ = finished.await(PATIENCE_SECONDS, TimeUnit.SECONDS);
            } catch (InterruptedException e) {
              Thread.currentThread().interrupt();
            }
          },
          "interruption");

  private Interruption() {
    Runtime.getRuntime().addShutdownHook(hook);
  }

  /** Watches for a request until closed. */
  static Interruption watch() {
    return new Interruption();
  }

  /** Whether the user has asked to stop. */
  static boolean requested() {
    return requested;
  }

  @Override
  public void close() {
    finished.countDown();
    if (!requested) {
      Runtime.getRuntime().removeShutdownHook(hook);
    }
  }
}
