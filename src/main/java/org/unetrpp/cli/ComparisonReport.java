package org.unetrpp.cli;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.unetrpp.grid.Extents;
import org.unetrpp.stages.ParameterDifference;
import org.unetrpp.stages.StageComparison;
import org.unetrpp.stages.StageDifference;
import org.unetrpp.stages.VolumeDifference;

/** What a comparison of two runs found, for people and for machines. */
record ComparisonReport(StageComparison comparison) {
  private static final List<String> HEADINGS =
      List.of("stage", "", "volumes", "parameters differ", "voxels differ", "largest", "relative");

  /** A table of the stages, then where the runs part. */
  String text() {
    TextTable table = new TextTable(2);
    table.add(HEADINGS);
    comparison.stages().forEach(stage -> table.add(row(stage)));
    List<String> lines = new ArrayList<>();
    Optional<StageDifference> first = comparison.first();
    if (first.isPresent()) {
      lines.addAll(details(first.get()));
    } else {
      lines.add(
          "the runs are equal in every stage that both have (%d)%s"
              .formatted(
                  comparison.stages().size(),
                  comparison.tolerance() > 0 ? ", within " + number(comparison.tolerance()) : ""));
    }
    addNames(lines, "only the first run has: ", comparison.onlyInA());
    addNames(lines, "only the second run has: ", comparison.onlyInB());
    return table + String.join(System.lineSeparator(), lines);
  }

  private static List<String> row(StageDifference stage) {
    return List.of(
        stage.name(),
        stage.isEqual() ? "equal" : "differs",
        String.valueOf(stage.volumes().size()),
        String.valueOf(stage.parameters().size()),
        stage.volumes().stream().anyMatch(volume -> volume.grid() != null)
            ? "other grid"
            : String.valueOf(differing(stage)),
        number(largest(stage, VolumeDifference::largestAbsolute)),
        number(largest(stage, VolumeDifference::largestRelative)));
  }

  private List<String> details(StageDifference stage) {
    List<String> lines = new ArrayList<>();
    lines.add("the runs part at " + stage.name());
    for (ParameterDifference parameter : stage.parameters()) {
      lines.add("  %s: %s | %s".formatted(parameter.name(), parameter.a(), parameter.b()));
    }
    for (VolumeDifference volume : stage.volumes()) {
      if (volume.grid() != null) {
        lines.add("  %s: %s".formatted(volume.volume(), volume.grid()));
      }
      if (volume.differing() > 0) {
        lines.add(
            "  %s: %d of %d voxels differ by more than %s"
                .formatted(
                    volume.volume(),
                    volume.differing(),
                    volume.voxels(),
                    number(comparison.tolerance())));
        lines.add("    first   " + place(volume.first()));
        lines.add(
            "    largest %s, by %s (relative %s)"
                .formatted(
                    place(volume.largest()),
                    number(volume.largestAbsolute()),
                    number(volume.largestRelative())));
      }
    }
    addNames(lines, "  only in the first run: ", stage.onlyInA());
    addNames(lines, "  only in the second run: ", stage.onlyInB());
    List<String> later =
        comparison.stages().stream()
            .filter(other -> !other.isEqual() && !other.name().equals(stage.name()))
            .map(StageDifference::name)
            .toList();
    addNames(lines, "later stages that differ: ", later);
    return lines;
  }

  private static void addNames(List<String> lines, String prefix, List<String> names) {
    if (!names.isEmpty()) {
      lines.add(prefix + String.join(", ", names));
    }
  }

  private static String place(VolumeDifference.@Nullable Place place) {
    if (place == null) {
      return "nowhere";
    }
    Extents index = place.index();
    double[] at = place.millimeters();
    String millimeters =
        at == null
            ? ""
            : String.format(
                Locale.ROOT, ", (R, A, S) = (%.2f, %.2f, %.2f) mm", at[0], at[1], at[2]);
    return String.format(
        Locale.ROOT,
        "at voxel (z, y, x) = (%d, %d, %d)%s: %s | %s",
        index.depth(),
        index.height(),
        index.width(),
        millimeters,
        place.a(),
        place.b());
  }

  private static long differing(StageDifference stage) {
    return stage.volumes().stream().mapToLong(VolumeDifference::differing).sum();
  }

  private static double largest(
      StageDifference stage, Function<VolumeDifference, Double> difference) {
    return stage.volumes().stream().mapToDouble(difference::apply).max().orElse(0);
  }

  private static String number(double value) {
    return value == 0 ? "0" : String.format(Locale.ROOT, "%.3g", value);
  }

  /** The same as JSON. */
  String json() {
    JsonObject root = new JsonObject();
    Optional<StageDifference> first = comparison.first();
    root.addProperty("equal", first.isEmpty());
    root.addProperty("tolerance", comparison.tolerance());
    first.ifPresent(stage -> root.addProperty("firstDifference", stage.name()));
    JsonArray stages = new JsonArray();
    comparison.stages().forEach(stage -> stages.add(json(stage)));
    root.add("stages", stages);
    root.add("onlyInFirst", names(comparison.onlyInA()));
    root.add("onlyInSecond", names(comparison.onlyInB()));
    return new GsonBuilder()
        .setPrettyPrinting()
        .disableHtmlEscaping()
        .serializeSpecialFloatingPointValues()
        .create()
        .toJson(root);
  }

  private static JsonObject json(StageDifference stage) {
    JsonObject json = new JsonObject();
    json.addProperty("name", stage.name());
    json.addProperty("equal", stage.isEqual());
    JsonArray parameters = new JsonArray();
    for (ParameterDifference parameter : stage.parameters()) {
      JsonObject one = new JsonObject();
      one.addProperty("name", parameter.name());
      one.addProperty("first", parameter.a());
      one.addProperty("second", parameter.b());
      parameters.add(one);
    }
    json.add("parameters", parameters);
    JsonArray volumes = new JsonArray();
    stage.volumes().forEach(volume -> volumes.add(json(volume)));
    json.add("volumes", volumes);
    json.add("onlyInFirst", names(stage.onlyInA()));
    json.add("onlyInSecond", names(stage.onlyInB()));
    return json;
  }

  private static JsonObject json(VolumeDifference volume) {
    JsonObject json = new JsonObject();
    json.addProperty("name", volume.volume());
    json.addProperty("equal", volume.isEqual());
    if (volume.grid() != null) {
      json.addProperty("grid", volume.grid());
    }
    json.addProperty("voxels", volume.voxels());
    json.addProperty("differing", volume.differing());
    json.addProperty("largestAbsolute", volume.largestAbsolute());
    json.addProperty("largestRelative", volume.largestRelative());
    addPlace(json, "first", volume.first());
    addPlace(json, "largest", volume.largest());
    return json;
  }

  private static void addPlace(
      JsonObject json, String name, VolumeDifference.@Nullable Place place) {
    if (place == null) {
      return;
    }
    JsonObject one = new JsonObject();
    JsonArray index = new JsonArray();
    for (int along : place.index().toArray()) {
      index.add(along);
    }
    one.add("index", index);
    if (place.millimeters() != null) {
      JsonArray millimeters = new JsonArray();
      for (double along : place.millimeters()) {
        millimeters.add(along);
      }
      one.add("millimeters", millimeters);
    }
    one.addProperty("first", place.a());
    one.addProperty("second", place.b());
    json.add(name, one);
  }

  private static JsonElement names(List<String> names) {
    JsonArray array = new JsonArray();
    names.forEach(array::add);
    return array;
  }
}
