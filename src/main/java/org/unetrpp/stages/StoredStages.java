package org.unetrpp.stages;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Nifti;
import org.unetrpp.image.Volume;
import org.unetrpp.pipeline.PipelineStage.Layer;
import org.unetrpp.pipeline.PipelineStage.Name;
import org.unetrpp.weights.NumpyFile;

/**
 * The stages of a folder: those that {@link StageFolder} wrote, or else NumPy arrays named as
 * stages, such as {@code 05-normalized.npz} with a published preprocessed case. Up to that stage
 * the last channel of four axes is the labels, as published.
 */
public final class StoredStages {
  private static final Set<Name> OF_LABELS = EnumSet.of(Name.LOCATIONS, Name.ARGMAX, Name.LABELS);
  private static final Set<Name> OF_CHANNELS = EnumSet.of(Name.PADDED, Name.PROBABILITIES);

  /** The array of published preprocessed files. */
  private static final String ARRAY = "data";

  private static final String ZIPPED = ".npz";

  private final Path folder;
  private final Map<String, Stage> stages;

  private StoredStages(Path folder, Map<String, Stage> stages) {
    this.folder = folder;
    this.stages = stages;
  }

  /**
   * A volume of a stage.
   *
   * @param affine from voxel indices to millimeters; null of a NumPy array
   * @param voxels values (D, H, W)
   */
  @SuppressWarnings("ArrayRecordComponent") // a carrier of values, compared by nobody
  record Stored(Extents extents, @Nullable Affine affine, float[] voxels) {}

  /** Reads the volumes of a stage. */
  private interface Volumes {
    Map<String, Stored> read() throws IOException;
  }

  /**
   * A stage on disk.
   *
   * @param parameters what it was made by; null of a NumPy array
   */
  private record Stage(@Nullable JsonObject parameters, Volumes volumes) {}

  /**
   * Opens a folder.
   *
   * @throws NoSuchFileException if there is none
   * @throws InvalidFileException if it holds no stages, or the list of them is damaged
   */
  public static StoredStages open(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      throw new NoSuchFileException(folder.toString());
    }
    if (!Files.isDirectory(folder)) {
      throw new NotDirectoryException(folder.toString());
    }
    Path index = folder.resolve(StageFolder.INDEX);
    Map<String, Stage> stages = Files.exists(index) ? listed(index) : arrays(folder);
    if (stages.isEmpty()) {
      throw new InvalidFileException(
          folder,
          "holds no %s and no array such as 05-normalized.npz, expected a folder of --dump-stages"
              .formatted(StageFolder.INDEX));
    }
    return new StoredStages(folder, stages);
  }

  /** Where they lie. */
  Path folder() {
    return folder;
  }

  /** Names of the stages, in their order. */
  List<String> names() {
    return stages.keySet().stream().sorted().toList();
  }

  /** What a stage was made by, if that is known. */
  @Nullable JsonObject parameters(String stage) {
    return stage(stage).parameters();
  }

  /**
   * Reads the volumes of a stage, by name.
   *
   * @throws InvalidFileException if a file is damaged
   * @throws NoSuchFileException if a file is missing
   */
  Map<String, Stored> volumes(String stage) throws IOException {
    return stage(stage).volumes().read();
  }

  private Stage stage(String name) {
    Stage stage = stages.get(name);
    if (stage == null) {
      throw new IllegalArgumentException("no stage '%s' in %s".formatted(name, folder));
    }
    return stage;
  }

  private static Map<String, Stage> listed(Path index) throws IOException {
    JsonObject root = object(index);
    String format = text(index, root, "format");
    if (!format.equals(StageFolder.FORMAT)) {
      throw new InvalidFileException(
          index, "format is '%s', expected '%s'".formatted(format, StageFolder.FORMAT));
    }
    Map<String, Stage> stages = new LinkedHashMap<>();
    for (JsonObject entry : objects(index, root, "stages")) {
      Map<String, Path> files = new LinkedHashMap<>();
      for (JsonObject volume : objects(index, entry, "volumes")) {
        files.put(text(index, volume, "name"), beside(index, text(index, volume, "file")));
      }
      JsonObject parameters = object(beside(index, text(index, entry, "parameters")));
      stages.put(text(index, entry, "name"), new Stage(parameters, () -> niftiVolumes(files)));
    }
    return stages;
  }

  private static String text(Path index, JsonObject object, String key)
      throws InvalidFileException {
    if (object.get(key) instanceof JsonPrimitive value && value.isString()) {
      return value.getAsString();
    }
    throw new InvalidFileException(index, "lacks a text '%s'".formatted(key));
  }

  private static List<JsonObject> objects(Path index, JsonObject object, String key)
      throws InvalidFileException {
    List<JsonObject> objects = new ArrayList<>();
    if (object.get(key) instanceof JsonArray array) {
      for (JsonElement element : array) {
        if (element instanceof JsonObject entry) {
          objects.add(entry);
        }
      }
      if (objects.size() == array.size()) {
        return objects;
      }
    }
    throw new InvalidFileException(index, "lacks a list of objects '%s'".formatted(key));
  }

  /** A file of the folder; a list cannot name files elsewhere. */
  private static Path beside(Path index, String name) throws InvalidFileException {
    if (!name.matches("[\\w-]+(\\.\\w+)+")) {
      throw new InvalidFileException(index, "names a file '%s'".formatted(name));
    }
    return index.resolveSibling(name);
  }

  private static JsonObject object(Path path) throws IOException {
    try {
      return JsonParser.parseString(Files.readString(path, StandardCharsets.UTF_8))
          .getAsJsonObject();
    } catch (JsonParseException | CharacterCodingException | IllegalStateException e) {
      throw new InvalidFileException(path, "is no JSON object", e);
    }
  }

  private static Map<String, Stored> niftiVolumes(Map<String, Path> files) throws IOException {
    Map<String, Stored> volumes = new LinkedHashMap<>();
    for (Map.Entry<String, Path> file : files.entrySet()) {
      if (!Files.exists(file.getValue())) {
        throw new NoSuchFileException(file.getValue().toString());
      }
      Volume volume = Nifti.open(file.getValue()).volumes().getFirst();
      volumes.put(
          file.getKey(),
          new Stored(volume.geometry().extents(), volume.geometry().affine(), volume.voxels()));
    }
    return volumes;
  }

  private static Map<String, Stage> arrays(Path folder) {
    Map<String, Stage> stages = new LinkedHashMap<>();
    for (Name name : Name.values()) {
      for (String ending : List.of(ZIPPED, ".npy")) {
        Path file = folder.resolve(name + ending);
        if (Files.exists(file)) {
          stages.putIfAbsent(name.toString(), new Stage(null, () -> arrayVolumes(name, file)));
        }
      }
    }
    return stages;
  }

  private static Map<String, Stored> arrayVolumes(Name stage, Path file) throws IOException {
    NumpyFile.Array array =
        file.toString().endsWith(ZIPPED) ? NumpyFile.readZipped(file, ARRAY) : NumpyFile.read(file);
    List<Integer> shape = array.shape();
    if (shape.size() < 3 || shape.size() > 4 || array.values().length == 0) {
      throw new InvalidFileException(
          file, "shape %s, expected (D, H, W) or (C, D, H, W)".formatted(shape));
    }
    int axes = shape.size();
    Extents extents = new Extents(shape.get(axes - 3), shape.get(axes - 2), shape.get(axes - 1));
    int voxels = Math.toIntExact(extents.voxels());
    int channels = array.values().length / voxels;
    Map<String, Stored> volumes = new LinkedHashMap<>();
    for (int channel = 0; channel < channels; channel++) {
      boolean last = channels > 1 && channel == channels - 1;
      boolean labels = OF_LABELS.contains(stage) || (last && !OF_CHANNELS.contains(stage));
      volumes.put(
          labels ? Layer.LABEL : Layer.numbered(channel),
          new Stored(
              extents,
              null,
              Arrays.copyOfRange(array.values(), channel * voxels, (channel + 1) * voxels)));
    }
    return volumes;
  }
}
