package org.unetrpp.cli;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Turns Ctrl-C into a request to stop: the running command sees it, gives up cleanly and removes
 * what it had half-written, and only then the process ends.
 */
final class Interruption implements AutoCloseable {
  private static final Duration PATIENCE = Duration.ofSeconds(20);
  private static volatile boolean requested;
  private static volatile Duration patience = PATIENCE;
  private static volatile Runnable answer = () -> {};

  private final CountDownLatch finished = new CountDownLatch(1);
  private final Thread hook =
      new Thread(
          () -> {
            requested = true;
            answer.run();
            try {
              boolean _ = finished.await(patience.toSeconds(), TimeUnit.SECONDS);
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

  /**
   * For a command that cannot stop soon.
   *
   * @param longestWait how long the process stays for it after a request
   * @param newAnswer what the user is told at once
   */
  static void expect(Duration longestWait, Runnable newAnswer) {
    patience = longestWait;
    answer = newAnswer;
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
      expect(PATIENCE, () -> {});
    }
  }
}
