package org.unetrpp.training;

import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.unetrpp.inference.LabelClass;

/** The epochs of a run as a table: only what is the same each time the run is repeated. */
final class RunLog {
  private RunLog() {}

  /**
   * Comma-separated values, a line an epoch below a line of names; what is not a number is left
   * empty.
   *
   * @param labels of all classes, background first
   */
  static String csv(List<EpochResult> epochs, List<LabelClass> labels) {
    Stream<String> fixed =
        Stream.of(
            "epoch",
            "learning_rate",
            "training_loss",
            "validation_loss",
            "dice",
            "average_dice",
            "best");
    Stream<String> classes = labels.stream().skip(1).map(label -> quoted("dice_" + label.name()));
    String names = Stream.concat(fixed, classes).collect(Collectors.joining(","));
    return Stream.concat(Stream.of(names), epochs.stream().map(RunLog::line))
        .map(line -> line + "\n")
        .collect(Collectors.joining());
  }

  private static String line(EpochResult epoch) {
    Stream<String> fixed =
        Stream.of(
            Integer.toString(epoch.epoch()),
            number(epoch.learningRate()),
            number(epoch.trainingLoss()),
            number(epoch.validationLoss()),
            number(epoch.dice()),
            number(epoch.averageDice()),
            epoch.best() ? "1" : "0");
    return Stream.concat(fixed, epoch.classDice().stream().map(RunLog::number))
        .collect(Collectors.joining(","));
  }

  private static String number(double value) {
    return Double.isNaN(value) ? "" : Double.toString(value);
  }

  private static String quoted(String text) {
    return text.matches("[^\",\r\n]*") ? text : '"' + text.replace("\"", "\"\"") + '"';
  }
}
