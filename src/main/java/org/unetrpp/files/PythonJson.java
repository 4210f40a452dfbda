package org.unetrpp.files;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;

/**
 * JSON as Python writes it with sorted keys and an indent of 4: NaN as the bare word, characters
 * beyond ASCII escaped, floating-point numbers in Python's form ({@code 1e-05}). Numbers of type
 * Double are floating-point numbers, and others whole ones.
 */
public final class PythonJson {
  private static final String INDENT = "    ";

  /** Python writes powers of ten from these on with an exponent. */
  private static final int SMALL = -4;

  private static final int LARGE = 16;

  private PythonJson() {}

  /** Writes a file in one piece. */
  public static void write(Path target, JsonElement value) throws IOException {
    byte[] text = text(value).getBytes(StandardCharsets.US_ASCII);
    AtomicFile.write(target, out -> out.write(text));
  }

  /** The text of a value, without a line break at its end. */
  public static String text(JsonElement value) {
    return text(value, "\n");
  }

  private static String text(JsonElement value, String lineStart) {
    return switch (value) {
      case JsonObject object -> object(object, lineStart);
      case JsonArray array -> array(array, lineStart);
      case JsonPrimitive primitive when primitive.isString() -> quoted(primitive.getAsString());
      case JsonPrimitive primitive when primitive.isNumber() -> number(primitive.getAsNumber());
      default -> value.toString();
    };
  }

  private static String object(JsonObject object, String lineStart) {
    List<String> members = new ArrayList<>();
    new TreeMap<>(object.asMap())
        .forEach(
            (name, member) -> members.add(quoted(name) + ": " + text(member, lineStart + INDENT)));
    return enclosed("{", members, "}", lineStart);
  }

  private static String array(JsonArray array, String lineStart) {
    List<String> elements =
        array.asList().stream().map(element -> text(element, lineStart + INDENT)).toList();
    return enclosed("[", elements, "]", lineStart);
  }

  private static String enclosed(
      String opening, List<String> parts, String closing, String lineStart) {
    if (parts.isEmpty()) {
      return opening + closing;
    }
    String inner = lineStart + INDENT;
    return opening + inner + String.join("," + inner, parts) + lineStart + closing;
  }

  private static String number(Number number) {
    return number instanceof Double value ? floating(value) : number.toString();
  }

  private static String floating(double value) {
    if (!Double.isFinite(value) || value == 0) {
      return Double.toString(value);
    }
    // In Java as in Python the digits are the fewest that tell normal numbers from their neighbors.
    BigDecimal decimal = new BigDecimal(Double.toString(value)).stripTrailingZeros();
    int exponent = decimal.precision() - decimal.scale() - 1;
    if (exponent >= SMALL && exponent < LARGE) {
      String plain = decimal.toPlainString();
      return plain.contains(".") ? plain : plain + ".0";
    }
    String digits = decimal.unscaledValue().abs().toString();
    String mantissa =
        digits.substring(0, 1) + (digits.length() > 1 ? "." : "") + digits.substring(1);
    String sign = decimal.signum() < 0 ? "-" : "";
    return "%s%se%s%02d".formatted(sign, mantissa, exponent < 0 ? "-" : "+", Math.abs(exponent));
  }

  private static String quoted(String text) {
    StringBuilder quoted = new StringBuilder("\"");
    for (int i = 0; i < text.length(); i++) {
      char character = text.charAt(i);
      switch (character) {
        case '"' -> quoted.append("\\\"");
        case '\\' -> quoted.append("\\\\");
        case '\n' -> quoted.append("\\n");
        case '\r' -> quoted.append("\\r");
        case '\t' -> quoted.append("\\t");
        case '\b' -> quoted.append("\\b");
        case '\f' -> quoted.append("\\f");
        default -> {
          if (character >= ' ' && character <= '~') {
            quoted.append(character);
          } else {
            quoted.append("\\u%04x".formatted((int) character));
          }
        }
      }
    }
    return quoted.append('"').toString();
  }
}
