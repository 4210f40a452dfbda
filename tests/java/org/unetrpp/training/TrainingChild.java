package org.unetrpp.training;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.BooleanSupplier;
import org.unetrpp.planning.TrainingPlan;

/** A process that trains, to be killed. */
public final class TrainingChild {
  static final TrainingPlan PLAN = FakeRun.plan(6, 20, 5);
  static final String READY = "ready";
  static final String BATCH = "batch";
  private static final Duration STEP = Duration.ofMillis(4);
  private static final Duration SAVE_EVERY = Duration.ofMillis(15);

  private TrainingChild() {}

  /** Trains in the folder of the first argument, and says so at the start and at each batch. */
  public static void main(String[] arguments) throws IOException {
    FakeRun run = new FakeRun(STEP);
    System.out.println(READY);
    BooleanSupplier neverStops =
        () -> {
          System.out.println(BATCH);
          return false;
        };
    run.run(Path.of(arguments[0]), PLAN, SAVE_EVERY, neverStops);
  }
}
