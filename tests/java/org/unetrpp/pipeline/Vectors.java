package org.unetrpp.pipeline;

import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import org.unetrpp.grid.Extents;

/** Reads {@code tests/resources/pipeline} and makes random volumes. */
final class Vectors {
  private Vectors() {}

  static JsonObject object(String name) {
    return read(name).getAsJsonObject();
  }

  static List<JsonObject> cases(String name) {
    List<JsonObject> cases = new ArrayList<>();
    read(name).getAsJsonArray().forEach(element -> cases.add(element.getAsJsonObject()));
    return cases;
  }

  private static JsonElement read(String name) {
    try (var stream = Vectors.class.getResourceAsStream("/pipeline/" + name)) {
      if (stream == null) {
        throw new IllegalStateException("no resource /pipeline/" + name);
      }
      return new Gson()
          .fromJson(new InputStreamReader(stream, StandardCharsets.UTF_8), JsonElement.class);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static float[] floats(JsonObject object, String key) {
    var array = object.getAsJsonArray(key);
    float[] values = new float[array.size()];
    for (int index = 0; index < values.length; index++) {
      values[index] = array.get(index).getAsFloat();
    }
    return values;
  }

  static short[] shorts(JsonObject object, String key) {
    var array = object.getAsJsonArray(key);
    short[] values = new short[array.size()];
    for (int index = 0; index < values.length; index++) {
      values[index] = array.get(index).getAsShort();
    }
    return values;
  }

  static Extents extents(JsonObject object, String key) {
    var array = object.getAsJsonArray(key);
    return new Extents(array.get(0).getAsInt(), array.get(1).getAsInt(), array.get(2).getAsInt());
  }

  static OptionalInt separateAxis(JsonObject object) {
    JsonElement axis = object.get("separateAxis");
    return axis.isJsonNull() ? OptionalInt.empty() : OptionalInt.of(axis.getAsInt());
  }

  /** A mask from a text of 0 and 1. */
  static VoxelMask mask(Extents extents, String text) {
    Bits bits = Bits.none(text.length());
    for (int voxel = 0; voxel < text.length(); voxel++) {
      if (text.charAt(voxel) == '1') {
        bits.set(voxel, voxel + 1);
      }
    }
    return new VoxelMask(extents, bits);
  }

  /** A mask as a text of 0 and 1. */
  static String text(VoxelMask mask) {
    StringBuilder text = new StringBuilder();
    for (int voxel = 0; voxel < mask.extents().voxels(); voxel++) {
      text.append(mask.contains(voxel) ? '1' : '0');
    }
    return text.toString();
  }

  /** Uniform between -1 and 1. */
  static float[] random(Extents extents, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    float[] values = new float[Math.toIntExact(extents.voxels())];
    for (int index = 0; index < values.length; index++) {
      values[index] = (float) random.nextDouble(-1, 1);
    }
    return values;
  }
}
