package org.unetrpp.stages;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * A parameter of a stage that is not the same in two runs.
 *
 * @param name such as {@code channels[0].mean}
 * @param a its value in the first run, as JSON, or "missing"
 * @param b its value in the second run
 */
public record ParameterDifference(String name, String a, String b) {
  private static final String MISSING = "missing";

  /**
   * Compares the parameters of a stage.
   *
   * @param tolerance by which numbers may differ
   */
  static List<ParameterDifference> of(JsonObject a, JsonObject b, double tolerance) {
    Map<String, JsonElement> ofA = new TreeMap<>();
    Map<String, JsonElement> ofB = new TreeMap<>();
    flatten("", a, ofA);
    flatten("", b, ofB);
    Map<String, JsonElement> names = new TreeMap<>(ofA);
    names.putAll(ofB);
    List<ParameterDifference> differences = new ArrayList<>();
    for (String name : names.keySet()) {
      JsonElement x = ofA.get(name);
      JsonElement y = ofB.get(name);
      if (x == null || y == null || !isSame(x, y, tolerance)) {
        differences.add(
            new ParameterDifference(
                name, x == null ? MISSING : x.toString(), y == null ? MISSING : y.toString()));
      }
    }
    return differences;
  }

  private static void flatten(String name, JsonElement value, Map<String, JsonElement> target) {
    switch (value) {
      case JsonObject object ->
          object
              .asMap()
              .forEach((key, member) ->
                  flatten(name.isEmpty() ? key : name + "." + key, member, target));
      case JsonArray array when holdsObjects(array) -> {
        for (int i = 0; i < array.size(); i++) {
          flatten("%s[%d]".formatted(name, i), array.get(i), target);
        }
      }
      default -> target.put(name, value);
    }
  }

  /** Whether the entries of a list are compared one by one; others are shown together. */
  private static boolean holdsObjects(JsonArray array) {
    return array.asList().stream().anyMatch(JsonElement::isJsonObject);
  }

  private static boolean isSame(JsonElement x, JsonElement y, double tolerance) {
    if (x instanceof JsonArray first && y instanceof JsonArray second) {
      boolean same = first.size() == second.size();
      for (int i = 0; same && i < first.size(); i++) {
        same = isSame(first.get(i), second.get(i), tolerance);
      }
      return same;
    }
    if (isNumber(x) && isNumber(y)) {
      return Math.abs(x.getAsDouble() - y.getAsDouble()) <= tolerance;
    }
    return x.equals(y);
  }

  private static boolean isNumber(JsonElement value) {
    return value instanceof JsonPrimitive primitive && primitive.isNumber();
  }
}
