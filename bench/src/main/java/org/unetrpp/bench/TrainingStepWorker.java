package org.unetrpp.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.unetrpp.model.Architecture;

/**
 * One side of {@code peers/train_steps.py}: arguments variant, batch size, threads. Prints the loss
 * of a step without dropout, then for each line read makes a step and prints its seconds.
 */
public final class TrainingStepWorker {
  private TrainingStepWorker() {}

  /** Works until its input ends. */
  public static void main(String[] arguments) throws IOException {
    Architecture architecture = Architecture.published(arguments[0]).orElseThrow();
    int batchSize = Integer.parseInt(arguments[1]);
    int threads = Integer.parseInt(arguments[2]);
    try (TrainingStep plain =
        new TrainingStep(architecture.withDropout(0, 0), batchSize, threads)) {
      System.out.println(plain.run());
    }
    BufferedReader lines =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try (TrainingStep step = new TrainingStep(architecture, batchSize, threads)) {
      while (lines.readLine() != null) {
        long start = System.nanoTime();
        step.run();
        System.out.println((System.nanoTime() - start) * 1e-9);
      }
    }
  }
}
