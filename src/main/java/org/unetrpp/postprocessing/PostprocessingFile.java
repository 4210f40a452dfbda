package org.unetrpp.postprocessing;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.files.PythonJson;

/// `postprocessing.json` in the published form.
///
/// | key | value |
/// | --- | --- |
/// | `for_which_classes` | the rule: a label, or a list of labels that are treated as one object |
/// | `min_valid_object_sizes` | `"None"`, or a Python dictionary as text, of cubic millimeters by label or by labels in parentheses |
/// | `dc_per_class_raw`, `dc_per_class_pp_all`, `dc_per_class_pp_per_class` | mean Dice by label: [Decision#raw], [Decision#joint], [Decision#each] |
/// | `num_samples` | number of cases |
/// | `validation_raw`, `validation_final` | names of the folders before and after |
public final class PostprocessingFile {
  /** The name of the file. */
  public static final String NAME = "postprocessing.json";

  private static final String CLASSES = "for_which_classes";
  private static final String SIZES = "min_valid_object_sizes";
  private static final String NO_SIZES = "None";
  private static final String NUMBER = "\\d+(?:\\.\\d*)?(?:[eE][+-]?\\d+)?";
  private static final Pattern SIZE =
      Pattern.compile("(\\d+|\\(\\s*\\d+\\s*(?:,\\s*\\d+\\s*)*,?\\s*\\))\\s*:\\s*(" + NUMBER + ")");
  private static final Pattern ALL_SIZES =
      Pattern.compile("\\{\\s*(?:%1$s(?:\\s*,\\s*%1$s)*\\s*,?\\s*)?\\}".formatted(SIZE.pattern()));
  private static final Pattern LABEL = Pattern.compile("\\d+");

  private PostprocessingFile() {}

  /**
   * Writes a decision in one piece.
   *
   * @param raw name of the folder that it was decided by
   * @param post name of the folder with what it makes of that
   */
  public static void write(Path target, Decision decision, String raw, String post)
      throws IOException {
    JsonObject file = new JsonObject();
    JsonArray classes = new JsonArray();
    for (Removal removal : decision.rule().removals()) {
      classes.add(classes(removal, decision.raw().size()));
    }
    file.add(CLASSES, classes);
    file.addProperty(SIZES, sizes(decision.rule()));
    file.add("dc_per_class_raw", dice(decision.raw()));
    file.add("dc_per_class_pp_all", dice(decision.joint()));
    file.add("dc_per_class_pp_per_class", dice(decision.each()));
    file.addProperty("num_samples", decision.cases());
    file.addProperty("validation_raw", raw);
    file.addProperty("validation_final", post);
    PythonJson.write(target, file);
  }

  /** A list where all classes are treated as one, even of one class; else the label. */
  private static JsonElement classes(Removal removal, int all) {
    if (removal.labels().size() == 1 && all > 1) {
      return new JsonPrimitive(removal.labels().first());
    }
    JsonArray labels = new JsonArray();
    removal.labels().forEach(labels::add);
    return labels;
  }

  private static String sizes(ComponentRule rule) {
    if (rule.removals().stream().allMatch(removal -> removal.minimumSize() == null)) {
      return NO_SIZES;
    }
    return rule.removals().stream()
        .filter(removal -> removal.minimumSize() != null)
        .map(removal -> key(removal.labels()) + ": " + removal.minimumSize())
        .collect(Collectors.joining(", ", "{", "}"));
  }

  private static String key(SortedSet<Integer> labels) {
    return labels.size() == 1
        ? labels.first().toString()
        : labels.stream().map(String::valueOf).collect(Collectors.joining(", ", "(", ")"));
  }

  private static JsonObject dice(SortedMap<Integer, Double> means) {
    JsonObject dice = new JsonObject();
    means.forEach((label, mean) -> dice.addProperty(label.toString(), mean));
    return dice;
  }

  /**
   * Reads the rule of a file.
   *
   * @throws InvalidFileException if the file is no such JSON, or names what is no label
   */
  public static ComponentRule read(Path path) throws IOException {
    try {
      return rule(JsonParser.parseString(Files.readString(path)).getAsJsonObject());
    } catch (CharacterCodingException e) {
      throw new InvalidFileException(path, "no post-processing rule: not UTF-8", e);
    } catch (RuntimeException e) { // no JSON, of other types, or of other labels
      String problem = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
      throw new InvalidFileException(path, "no post-processing rule: " + problem, e);
    }
  }

  private static ComponentRule rule(JsonObject file) {
    JsonElement classes = file.get(CLASSES);
    if (classes == null || !classes.isJsonArray()) {
      throw new IllegalArgumentException("has no list " + CLASSES);
    }
    Map<SortedSet<Integer>, Double> sizes =
        file.has(SIZES) ? sizes(file.get(SIZES).getAsString()) : Map.of();
    List<Removal> removals = new ArrayList<>();
    for (JsonElement entry : classes.getAsJsonArray()) {
      List<JsonElement> labels =
          entry.isJsonArray() ? entry.getAsJsonArray().asList() : List.of(entry);
      SortedSet<Integer> set = new TreeSet<>();
      labels.forEach(label -> set.add(label(label)));
      Double size = sizes.get(set);
      if (size == null && !sizes.isEmpty()) {
        throw new IllegalArgumentException("%s has no size for %s".formatted(SIZES, set));
      }
      removals.add(new Removal(set, size));
    }
    return new ComponentRule(removals);
  }

  private static int label(JsonElement label) {
    double value = label.getAsDouble();
    if (value != Math.rint(value)) {
      throw new IllegalArgumentException("label " + label + ", expected a whole number");
    }
    return (int) value;
  }

  private static Map<SortedSet<Integer>, Double> sizes(String text) {
    Map<SortedSet<Integer>, Double> sizes = new HashMap<>();
    if (text.equals(NO_SIZES)) {
      return sizes;
    }
    if (!ALL_SIZES.matcher(text.strip()).matches()) {
      throw new IllegalArgumentException(
          "%s is %s, expected None or such as {1: 200.0, (1, 2): 500.0}".formatted(SIZES, text));
    }
    Matcher size = SIZE.matcher(text);
    while (size.find()) {
      SortedSet<Integer> labels =
          LABEL
              .matcher(size.group(1))
              .results()
              .map(result -> Integer.valueOf(result.group()))
              .collect(Collectors.toCollection(TreeSet::new));
      sizes.put(labels, Double.valueOf(size.group(2)));
    }
    return sizes;
  }
}
