package org.unetrpp.pipeline;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;

/** Gathers what a stage was made by, in JSON; axes are in the order depth, height, width. */
final class StageParameters {
  private final JsonObject json = new JsonObject();

  StageParameters with(String name, String value) {
    json.addProperty(name, value);
    return this;
  }

  StageParameters with(String name, Number value) {
    json.addProperty(name, value);
    return this;
  }

  StageParameters with(String name, boolean value) {
    json.addProperty(name, value);
    return this;
  }

  StageParameters with(String name, Extents value) {
    return with(name, IntStream.of(value.toArray()).boxed().toList());
  }

  StageParameters with(String name, Spacing value) {
    return with(name, List.of(value.depth(), value.height(), value.width()));
  }

  StageParameters with(String name, AxisOrder value) {
    return with(name, List.of(value.first(), value.second(), value.third()));
  }

  StageParameters with(String name, List<? extends Number> values) {
    JsonArray array = new JsonArray();
    values.forEach(array::add);
    return with(name, array);
  }

  StageParameters with(String name, OptionalInt value) {
    return value.isPresent() ? with(name, value.getAsInt()) : with(name, JsonNull.INSTANCE);
  }

  StageParameters with(String name, JsonElement value) {
    json.add(name, value);
    return this;
  }

  JsonObject json() {
    return json;
  }
}
