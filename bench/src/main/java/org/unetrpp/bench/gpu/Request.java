package org.unetrpp.bench.gpu;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.util.List;
import org.unetrpp.backend.cuda.Providers;
import org.unetrpp.backend.cuda.driver.Precision;
import org.unetrpp.bench.BenchmarkNetwork;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.DType;
import org.unetrpp.model.Architecture;

/** What the other side of the pipe asks for: a JSON object in one line. */
record Request(JsonObject json) {
  static Request parse(String line) {
    return new Request(JsonParser.parseString(line).getAsJsonObject());
  }

  /** A text that must be there. */
  String text(String key) {
    if (!json.has(key)) {
      throw new IllegalArgumentException("'%s' is missing in %s".formatted(key, json));
    }
    return json.get(key).getAsString();
  }

  String text(String key, String otherwise) {
    return json.has(key) ? text(key) : otherwise;
  }

  int number(String key, int otherwise) {
    return json.has(key) ? json.get(key).getAsInt() : otherwise;
  }

  double real(String key, double otherwise) {
    return json.has(key) ? json.get(key).getAsDouble() : otherwise;
  }

  boolean flag(String key) {
    return json.has(key) && json.get(key).getAsBoolean();
  }

  /** Three extents, slice axis first. */
  Extents extents(String key) {
    List<Integer> values =
        json.getAsJsonArray(key).asList().stream().map(value -> value.getAsInt()).toList();
    return new Extents(values.get(0), values.get(1), values.get(2));
  }

  /** Type of activations. */
  DType precision() {
    return switch (text("precision", "f32")) {
      case "f32", "tf32" -> DType.FLOAT32;
      case "bf16" -> DType.BFLOAT16;
      default ->
          throw new IllegalArgumentException(
              "precision is %s, expected f32, tf32 or bf16".formatted(text("precision")));
    };
  }

  /** Who computes convolutions and matrix products: with {@code own} the engine's kernels alone. */
  Providers providers() {
    if (flag("own")) {
      return Providers.ownOfThisMachine();
    }
    boolean coarse = text("precision", "f32").equals("tf32");
    return Providers.ofThisMachine(coarse ? Precision.TENSOR_FLOAT32 : Precision.FLOAT32);
  }

  /**
   * The published network of {@code variant}, or with {@code patch} a tiny one of its form, or with
   * {@code shallow}, too, one of its widths.
   */
  Architecture architecture() {
    Architecture published =
        Architecture.published(text("variant"))
            .orElseThrow(
                () -> new IllegalArgumentException("variant '%s'".formatted(text("variant"))));
    if (!json.has("patch")) {
      return published;
    }
    Architecture small = published.withPatch(extents("patch"));
    return flag("shallow") ? BenchmarkNetwork.shallow(small) : BenchmarkNetwork.tiny(small);
  }
}
