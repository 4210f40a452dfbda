package org.unetrpp.planning;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.ArrayList;
import java.util.List;

/** JSON for people: what fits on a line stands on one, and long lists fill their lines. */
public final class ReadableJson {
  private static final int LINE = 100;
  private static final String STEP = "  ";

  private ReadableJson() {}

  /** The text of a value, with a line break at its end. */
  public static String of(JsonElement value) {
    return text(value, "", 0) + "\n";
  }

  /**
   * @param indent before further lines
   * @param used columns of the first line that are taken
   */
  private static String text(JsonElement value, String indent, int used) {
    String line = line(value);
    if (used + line.length() < LINE && depth(value) < 3) {
      return line;
    }
    return switch (value) {
      case JsonObject object -> object(object, indent);
      case JsonArray array -> array(array, indent);
      default -> line;
    };
  }

  private static String object(JsonObject object, String indent) {
    String inner = indent + STEP;
    List<String> members = new ArrayList<>();
    object
        .asMap()
        .forEach((name, value) -> {
          String key = inner + new JsonPrimitive(name) + ": ";
          members.add(key + text(value, inner, key.length()));
        });
    return "{\n" + String.join(",\n", members) + "\n" + indent + "}";
  }

  private static String array(JsonArray array, String indent) {
    String inner = indent + STEP;
    StringBuilder text = new StringBuilder("[");
    int column = LINE;
    for (int i = 0; i < array.size(); i++) {
      JsonElement element = array.get(i);
      String shown = text(element, inner, inner.length());
      boolean joins = element.isJsonPrimitive() && column + shown.length() + 2 < LINE;
      text.append(i == 0 ? "" : ",").append(joins ? " " : "\n" + inner).append(shown);
      column = (joins ? column + 2 : inner.length()) + shown.length();
    }
    return text.append("\n").append(indent).append("]").toString();
  }

  private static String line(JsonElement value) {
    return switch (value) {
      case JsonObject object -> {
        List<String> members = new ArrayList<>();
        object
            .asMap()
            .forEach((name, member) -> members.add(new JsonPrimitive(name) + ": " + line(member)));
        yield "{" + String.join(", ", members) + "}";
      }
      case JsonArray array ->
          "[" + String.join(", ", array.asList().stream().map(ReadableJson::line).toList()) + "]";
      default -> value.toString();
    };
  }

  /** How many levels of objects and lists there are. */
  private static int depth(JsonElement value) {
    return switch (value) {
      case JsonObject object ->
          1 + object.asMap().values().stream().mapToInt(ReadableJson::depth).max().orElse(0);
      case JsonArray array ->
          1 + array.asList().stream().mapToInt(ReadableJson::depth).max().orElse(0);
      default -> 0;
    };
  }
}
