package org.unetrpp.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.unetrpp.inference.LabelMeasure;

/** The labels of one case with their voxels and milliliters. */
final class MeasureTable {
  private static final String HEADER = "label";

  private MeasureTable() {}

  /** For people: a heading and a line a label. */
  static List<String> lines(List<LabelMeasure> measures) {
    int width =
        Stream.concat(Stream.of(HEADER), measures.stream().map(measure -> measure.label().name()))
            .mapToInt(String::length)
            .max()
            .orElse(0);
    String form = "  %-" + width + "s %12s %12s";
    Stream<String> heading = Stream.of(form.formatted(HEADER, "voxels", "ml"));
    Stream<String> rows =
        measures.stream()
            .map(measure ->
                form.formatted(
                    measure.label().name(),
                    String.format(Locale.ROOT, "%,d", measure.voxels()),
                    String.format(Locale.ROOT, "%.3f", measure.milliliters())));
    return Stream.concat(heading, rows).toList();
  }

  /** For programs: an object a label. */
  static JsonArray json(List<LabelMeasure> measures) {
    JsonArray array = new JsonArray();
    for (LabelMeasure measure : measures) {
      JsonObject object = new JsonObject();
      object.addProperty("value", measure.label().value());
      object.addProperty("name", measure.label().name());
      object.addProperty("voxels", measure.voxels());
      object.addProperty("ml", measure.milliliters());
      array.add(object);
    }
    return array;
  }
}
