package org.unetrpp.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.Locale;
import java.util.Map;

/** What {@code info} found, for people: an indented outline, tensors a line each. */
final class InfoText {
  private static final int NAME_WIDTH = 28;

  private final StringBuilder text = new StringBuilder();

  private InfoText() {}

  static String of(JsonObject info) {
    InfoText outline = new InfoText();
    outline.object(info, "");
    return outline.text.toString();
  }

  private void object(JsonObject object, String indent) {
    for (Map.Entry<String, JsonElement> entry : object.entrySet()) {
      entry(entry.getKey(), entry.getValue(), indent);
    }
  }

  private void entry(String name, JsonElement value, String indent) {
    boolean nested =
        value.isJsonObject()
            || (value.isJsonArray()
                && !value.getAsJsonArray().isEmpty()
                && value.getAsJsonArray().get(0).isJsonObject());
    if (!nested || isShort(value)) {
      text.append(
          String.format(Locale.ROOT, "%s%-" + NAME_WIDTH + "s %s%n", indent, name, inline(value)));
      return;
    }
    text.append(indent).append(name).append(System.lineSeparator());
    if (value instanceof JsonArray array) {
      array.forEach(element ->
          text.append(indent).append("  ").append(inline(element)).append(System.lineSeparator()));
    } else {
      object(value.getAsJsonObject(), indent + "  ");
    }
  }

  /** Extents, spacings and tensors fit on a line. */
  private static boolean isShort(JsonElement value) {
    return value instanceof JsonObject object
        && object.size() <= 3
        && object.entrySet().stream()
            .allMatch(entry ->
                entry.getValue().isJsonPrimitive()
                    || (entry.getValue().isJsonArray() && !hasObjects(entry.getValue())));
  }

  private static boolean hasObjects(JsonElement array) {
    return array.getAsJsonArray().asList().stream().anyMatch(JsonElement::isJsonObject);
  }

  private static String inline(JsonElement value) {
    if (value.isJsonPrimitive()) {
      return value.getAsJsonPrimitive().isNumber() && isWhole(value.getAsString())
          ? String.format(Locale.ROOT, "%,d", value.getAsLong())
          : value.getAsString();
    }
    if (value instanceof JsonArray array) {
      return String.join(" ", array.asList().stream().map(JsonElement::toString).toList());
    }
    if (value instanceof JsonObject object) {
      return String.join(
          "  ",
          object.entrySet().stream()
              .map(entry -> entry.getKey() + " " + inline(entry.getValue()))
              .toList());
    }
    return value.toString();
  }

  private static boolean isWhole(String number) {
    return number.matches("-?\\d{1,18}");
  }
}
