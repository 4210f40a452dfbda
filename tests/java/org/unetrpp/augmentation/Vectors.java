package org.unetrpp.augmentation;

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.util.List;
import java.util.stream.StreamSupport;
import org.unetrpp.grid.Extents;
import org.unetrpp.testing.TestResources;

/** Reads {@code tests/resources/augmentation}, and makes the values that were put in there. */
final class Vectors {
  private static final short[] LABELS = {-1, 0, 1, 2, 5};

  private Vectors() {}

  static List<JsonObject> cases(String name) {
    try (var reader = Files.newBufferedReader(TestResources.path("augmentation/" + name))) {
      JsonArray array = new Gson().fromJson(reader, JsonArray.class);
      return StreamSupport.stream(array.spliterator(), false)
          .map(element -> element.getAsJsonObject())
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static double[] doubles(JsonObject object, String key) {
    return StreamSupport.stream(object.getAsJsonArray(key).spliterator(), false)
        .mapToDouble(element -> element.getAsDouble())
        .toArray();
  }

  static float[] floats(JsonObject object, String key) {
    double[] values = doubles(object, key);
    float[] floats = new float[values.length];
    for (int index = 0; index < floats.length; index++) {
      floats[index] = (float) values[index];
    }
    return floats;
  }

  static short[] shorts(JsonObject object, String key) {
    double[] values = doubles(object, key);
    short[] shorts = new short[values.length];
    for (int index = 0; index < shorts.length; index++) {
      shorts[index] = (short) values[index];
    }
    return shorts;
  }

  static Extents extents(JsonObject object, String key) {
    double[] values = doubles(object, key);
    return new Extents((int) values[0], (int) values[1], (int) values[2]);
  }

  /** A patch of one channel. */
  static Patch patch(Extents extents) {
    return new Patch(1, extents, image(extents.voxels()), labels(extents));
  }

  /** Values between -1 and 1. */
  static float[] image(long voxels) {
    float[] image = new float[Math.toIntExact(voxels)];
    for (long index = 0; index < voxels; index++) {
      image[(int) index] = (float) (index * index * 7919 % 1009 / 504.5 - 1);
    }
    return image;
  }

  /** Blocks of 2x3x3 voxels of -1, 0, 1, 2 or 5. */
  static short[] labels(Extents extents) {
    short[] labels = new short[Math.toIntExact(extents.voxels())];
    for (int index = 0; index < labels.length; index++) {
      int row = index / extents.width();
      int block =
          row / extents.height() / 2
              + 2 * (row % extents.height() / 3)
              + index % extents.width() / 3;
      labels[index] = LABELS[block % LABELS.length];
    }
    return labels;
  }
}
