package org.unetrpp.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.NetworkCost;
import org.unetrpp.pipeline.ChannelPlan;
import org.unetrpp.planning.Fold;
import org.unetrpp.planning.TrainingMemory;
import org.unetrpp.planning.TrainingPlan;

/** A training plan for people, a line a topic. */
final class PlanSummary {
  private PlanSummary() {}

  /**
   * The lines.
   *
   * @param cases how many the data set has
   */
  static List<String> lines(TrainingPlan plan, int cases) {
    Architecture network = plan.architecture();
    long parameters =
        NetworkCost.parametersByPart(network).values().stream().mapToLong(Long::longValue).sum();
    int batch = plan.schedule().batchSize();
    List<String> lines = new ArrayList<>();
    lines.add(line("data set", "%s, %d cases".formatted(plan.name(), cases)));
    lines.add(
        line(
            "channels",
            String.join(
                ", ", plan.preprocessing().channels().stream().map(PlanSummary::text).toList())));
    lines.add(
        line(
            "labels",
            String.join(
                ", ",
                plan.labels().stream()
                    .skip(1)
                    .map(label -> label.value() + " " + label.name())
                    .toList())));
    Spacing spacing = plan.preprocessing().targetSpacing();
    lines.add(line("spacing", spacing == null ? "as it is" : text(spacing)));
    lines.add(line("patch", "%s, batches of %d".formatted(network.patch(), batch)));
    lines.add(
        line(
            "network",
            String.format(
                Locale.ROOT,
                "%.1f million parameters, strides %s, %s",
                parameters * 1e-6,
                network.stem(),
                String.join(
                    ", ", network.downsampling().stream().map(Extents::toString).toList()))));
    lines.add(
        line(
            "memory",
            "about %s for a training step"
                .formatted(MemorySize.text(TrainingMemory.estimateBytes(network, batch)))));
    lines.add(
        line(
            "training",
            "%d epochs of %d steps"
                .formatted(plan.schedule().epochs(), plan.schedule().iterations())));
    lines.add(line("folds", folds(plan, cases)));
    return lines;
  }

  private static String folds(TrainingPlan plan, int cases) {
    int folds = plan.folds().size();
    if (cases == 1) {
      return "1, trained on and validated on the only case";
    }
    if (folds == 1) {
      Fold only = plan.folds().getFirst();
      return "1, %d cases trained on and %d held back"
          .formatted(only.training().size(), only.validation().size());
    }
    return cases < 5 ? "%d, each holding back one case".formatted(folds) : String.valueOf(folds);
  }

  /** A line of a topic. */
  static String line(String name, String value) {
    return String.format(Locale.ROOT, "%-9s %s", name, value);
  }

  private static String text(ChannelPlan channel) {
    return "%s (%s%s)"
        .formatted(
            channel.name(),
            channel.scheme().needsStatistics() ? "normalized as CT" : "normalized case by case",
            channel.useMask() ? ", within the nonzero mask" : "");
  }

  private static String text(Spacing spacing) {
    return String.format(
        Locale.ROOT, "%.4g x %.4g x %.4g mm", spacing.depth(), spacing.height(), spacing.width());
  }
}
