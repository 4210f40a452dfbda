package org.unetrpp.training;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Locale;
import org.unetrpp.training.BatchProgress.Phase;

/**
 * The table of what took how long: a line for each epoch, or for each part of one where a run was
 * stopped and went on. It grows only, as the same step may be taken twice.
 */
final class Timings {
  private static final String NAMES =
      "epoch,steps,step_seconds,step_waiting_seconds,"
          + "validation_batches,validation_seconds,validation_waiting_seconds,until\n";

  private Timings() {}

  /**
   * Adds a line.
   *
   * @param epoch from 1
   */
  static void append(Path file, int epoch, Pace pace) throws IOException {
    Pace.Sums training = pace.of(Phase.TRAINING);
    Pace.Sums validation = pace.of(Phase.VALIDATION);
    String line =
        String.format(
            Locale.ROOT,
            "%d,%d,%.3f,%.3f,%d,%.3f,%.3f,%s%n",
            epoch,
            training.batches(),
            training.seconds(),
            training.waiting(),
            validation.batches(),
            validation.seconds(),
            validation.waiting(),
            Instant.now().truncatedTo(ChronoUnit.SECONDS));
    String names = Files.exists(file) ? "" : NAMES;
    Files.writeString(file, names + line, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
  }
}
