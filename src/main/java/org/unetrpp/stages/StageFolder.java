package org.unetrpp.stages;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.unetrpp.files.AtomicFile;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.Nifti;
import org.unetrpp.image.NiftiHeader;
import org.unetrpp.image.Volume;
import org.unetrpp.image.VoxelType;
import org.unetrpp.pipeline.PipelineStage;
import org.unetrpp.pipeline.PipelineStage.Layer;
import org.unetrpp.pipeline.StageListener;
import org.unetrpp.planning.ReadableJson;

/// Writes the stages of a case into a folder:
///
/// | file | holds |
/// | --- | --- |
/// | `04-resampled_0000.nii.gz` | a channel (or class) of a stage, float32, where it lies in space |
/// | `04-resampled_label.nii.gz` | the stage's labels, int16 |
/// | `04-resampled.json` | what the stage was made by; axes in the order depth, height, width |
/// | `stages.json` | all stages in their order, with the SHA-256 of the values of each volume as little-endian float32; written last |
///
/// Two runs that do the same give the same files.
public final class StageFolder implements StageListener {
  /** The file that lists the stages. */
  static final String INDEX = "stages.json";

  /** What {@link #INDEX} says it is. */
  static final String FORMAT = "unetrpp stages 1";

  /** Ending of volumes. */
  static final String VOLUME_ENDING = ".nii.gz";

  private final Path folder;
  private final Geometry image;
  private final JsonObject index = new JsonObject();
  private final JsonArray stages = new JsonArray();

  private StageFolder(Path folder, Geometry image) {
    this.folder = folder;
    this.image = image;
  }

  /**
   * Starts a folder.
   *
   * @param folder made if need be, and empty
   * @param caseName of the case
   * @param files of the case
   * @param image the grid of the case
   * @throws FileSystemException if the folder holds something already
   */
  public static StageFolder create(Path folder, String caseName, List<Path> files, Geometry image)
      throws IOException {
    requireEmpty(folder);
    Files.createDirectories(folder);
    StageFolder stages = new StageFolder(folder, image);
    stages.index.addProperty("format", FORMAT);
    stages.index.addProperty("case", caseName);
    JsonArray names = new JsonArray();
    files.forEach(file -> names.add(String.valueOf(file.getFileName())));
    stages.index.add("files", names);
    return stages;
  }

  /**
   * Returns if a folder for stages is empty or does not exist.
   *
   * @throws FileSystemException if not
   */
  public static void requireEmpty(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    try (Stream<Path> entries = Files.list(folder)) {
      if (entries.findAny().isPresent()) {
        throw new FileSystemException(
            folder.toString(), null, "is not empty; stages need a folder of their own");
      }
    }
  }

  @Override
  public void accept(PipelineStage stage) {
    try {
      write(stage);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Writes the list of the stages, which makes the folder complete. */
  public void finish() throws IOException {
    index.add("stages", stages);
    writeJson(INDEX, index);
  }

  private void write(PipelineStage stage) throws IOException {
    Geometry geometry = stage.grid().in(image);
    JsonArray volumes = new JsonArray();
    for (Layer layer : stage.layers()) {
      float[] voxels = layer.voxels().get();
      String file = stage.name() + "_" + layer.name() + VOLUME_ENDING;
      Nifti.writeVolumes(
          folder.resolve(file),
          List.of(new Volume(geometry, voxels)),
          NiftiHeader.of(geometry),
          layer.whole() ? VoxelType.INT16 : VoxelType.FLOAT32);
      JsonObject volume = new JsonObject();
      volume.addProperty("name", layer.name());
      volume.addProperty("file", file);
      volume.addProperty("sha256", Digests.sha256(voxels));
      volumes.add(volume);
    }
    String parameters = stage.name() + ".json";
    writeJson(parameters, stage.parameters());
    JsonObject entry = new JsonObject();
    entry.addProperty("name", stage.name().toString());
    entry.addProperty("parameters", parameters);
    entry.add("volumes", volumes);
    stages.add(entry);
  }

  private void writeJson(String name, JsonElement value) throws IOException {
    byte[] text = ReadableJson.of(value).getBytes(StandardCharsets.UTF_8);
    AtomicFile.write(folder.resolve(name), out -> out.write(text));
  }
}
