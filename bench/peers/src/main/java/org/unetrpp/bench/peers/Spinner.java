package org.unetrpp.bench.peers;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/**
 * A process that keeps one processor busy from {@link #SPIN} to {@link #REST}, lines of its
 * standard input, and answers each with {@link #DONE}. It rests by itself after {@link #LONGEST},
 * and ends with its input.
 */
final class Spinner {
  static final String SPIN = "spin";
  static final String REST = "rest";
  static final String DONE = "done";

  /** The longest spell of work. */
  static final Duration LONGEST = Duration.ofMinutes(5);

  private volatile boolean isSpinning;
  private volatile long value;

  private Spinner() {}

  /** Works until its input ends. */
  public static void main(String[] arguments) throws IOException, InterruptedException {
    new Spinner().serve();
  }

  private void serve() throws IOException, InterruptedException {
    BufferedReader lines =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    Thread worker = new Thread(() -> {});
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      isSpinning = false;
      worker.join();
      if (line.equals(SPIN)) {
        isSpinning = true;
        worker = new Thread(this::spin, "spinner");
        worker.setDaemon(true);
        worker.start();
      }
      System.out.println(DONE);
    }
  }

  private void spin() {
    long end = System.nanoTime() + LONGEST.toNanos();
    long state = 1;
    while (isSpinning && System.nanoTime() < end) {
      for (int step = 0; step < 10_000; step++) {
        state ^= state << 13; // xorshift64 of Marsaglia
        state ^= state >>> 7;
        state ^= state << 17;
      }
      value = state; // so that the loop is not left out
    }
  }

  @Override
  public String toString() {
    return "Spinner at " + value;
  }
}
