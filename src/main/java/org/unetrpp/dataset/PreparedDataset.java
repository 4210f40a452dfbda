package org.unetrpp.dataset;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.Nifti;
import org.unetrpp.image.Volume;
import org.unetrpp.pipeline.LabeledCase;
import org.unetrpp.pipeline.MultiChannelImage;
import org.unetrpp.pipeline.Preprocessing;
import org.unetrpp.pipeline.PreprocessingPlan;
import org.unetrpp.pipeline.Workers;
import org.unetrpp.weights.TensorFile;

/**
 * The cases of a data set, prepared once and kept in a folder, a file for each. A file is made anew
 * only if the preprocessing, the labels, or the case's own files have changed.
 */
public final class PreparedDataset implements AutoCloseable {
  private static final String FORMAT = "prepared case 2";
  private static final String ENDING = ".safetensors";

  private final Path cache;
  private final int classes;
  private final List<String> ids;
  private final Map<String, TensorFile> files = new HashMap<>();
  private final Map<String, PreparedCase> opened = new HashMap<>();

  private PreparedDataset(Path cache, int classes, List<String> ids) {
    this.cache = cache;
    this.classes = classes;
    this.ids = ids;
  }

  /**
   * How cases are prepared.
   *
   * @param preprocessing what is done to images
   * @param labelValues value in label files of each class, background first
   */
  public record Recipe(PreprocessingPlan preprocessing, List<Integer> labelValues) {
    public Recipe {
      labelValues = List.copyOf(labelValues);
    }

    /** About the memory that preparing the largest case takes. */
    public long caseBytes(DatasetFolder folder) {
      return folder.largest(geometry -> {
        long voxels = geometry.extents().voxels();
        long image = voxels * Float.BYTES * preprocessing.channels().size();
        long labels = voxels * (Float.BYTES + 3 * Short.BYTES);
        return 2 * image
            + labels
            + Preprocessing.peakBytes(geometry.extents(), geometry.spacing(), preprocessing, 1);
      });
    }

    private String hash() {
      String text = String.join("\n", FORMAT, preprocessing.toString(), labelValues.toString());
      try {
        byte[] digest =
            MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
        return HexFormat.of().formatHex(digest);
      } catch (NoSuchAlgorithmException e) {
        throw new IllegalStateException("this Java has no SHA-256, which every Java must have", e);
      }
    }
  }

  /**
   * Prepares the cases that are not there yet; one that was interrupted goes on where it stopped.
   *
   * @param cache the folder to keep them in, made if need be
   * @param workers for cases of {@link Recipe#caseBytes}; they tell of progress as "preparing"
   * @throws InvalidFileException if a case's files are not what they should be
   */
  @MustBeClosed
  public static PreparedDataset prepare(
      Path cache, List<DatasetCase> cases, Recipe recipe, CaseWorkers workers) throws IOException {
    Files.createDirectories(cache);
    String hash = recipe.hash();
    try {
      workers
          .across()
          .forEach(
              "preparing",
              cases.size(),
              workers::within,
              (within, index) -> prepare(cache, cases.get(index), recipe, hash, within));
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
    return new PreparedDataset(
        cache, recipe.labelValues().size(), cases.stream().map(DatasetCase::id).toList());
  }

  /** Identifiers of the cases. */
  public List<String> ids() {
    return ids;
  }

  /**
   * A case, mapped; usable until this object is closed. Any thread may ask.
   *
   * @throws IllegalArgumentException if there is no such case
   * @throws InvalidFileException if its file is damaged
   */
  @SuppressWarnings("MustBeClosedChecker") // closed with this object
  public synchronized PreparedCase open(String id) throws IOException {
    PreparedCase known = opened.get(id);
    if (known != null) {
      return known;
    }
    if (!ids.contains(id)) {
      throw new IllegalArgumentException("case '%s' was not prepared".formatted(id));
    }
    TensorFile file = PreparedFile.open(fileOf(cache, id));
    files.put(id, file);
    PreparedCase prepared = PreparedFile.read(file, id, classes);
    opened.put(id, prepared);
    return prepared;
  }

  @Override
  public synchronized void close() {
    files.values().forEach(TensorFile::close);
    files.clear();
    opened.clear();
  }

  private static Path fileOf(Path cache, String id) {
    return cache.resolve(id + ENDING);
  }

  private static void prepare(
      Path cache, DatasetCase files, Recipe recipe, String hash, Workers workers) {
    try {
      Path target = fileOf(cache, files.id());
      String origin = origin(files, hash);
      if (PreparedFile.isCurrent(target, origin)) {
        return;
      }
      MultiChannelImage image = image(files, recipe.preprocessing().channels().size());
      short[] classes = classes(files.label(), image, recipe.labelValues());
      LabeledCase prepared =
          Preprocessing.runLabeled(image, classes, recipe.preprocessing(), workers);
      List<int[]> locations = ClassLocations.of(prepared.labels(), recipe.labelValues());
      PreparedFile.write(target, prepared, locations, origin);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Recipe and sources, in a text that changes with any of them. */
  private static String origin(DatasetCase files, String hash) throws IOException {
    StringBuilder origin = new StringBuilder(hash);
    for (Path path : files.files()) {
      BasicFileAttributes attributes = Files.readAttributes(path, BasicFileAttributes.class);
      origin.append(
          "; %s %d bytes %s"
              .formatted(path.getFileName(), attributes.size(), attributes.lastModifiedTime()));
    }
    return origin.toString();
  }

  static MultiChannelImage image(DatasetCase files, int channels) throws IOException {
    List<Volume> volumes = new ArrayList<>();
    for (Path path : files.images()) {
      volumes.addAll(Nifti.open(path).volumes());
    }
    Path first = files.images().getFirst();
    if (volumes.size() != channels) {
      throw new InvalidFileException(
          first, "%d channels, expected %d as in the plan".formatted(volumes.size(), channels));
    }
    Geometry geometry = volumes.getFirst().geometry();
    try {
      MultiChannelImage image =
          new MultiChannelImage(
              volumes.stream().map(Volume::voxels).toList(),
              geometry.extents(),
              geometry.spacing());
      image.requireFinite();
      return image;
    } catch (IllegalArgumentException e) {
      throw new InvalidFileException(first, String.valueOf(e.getMessage()), e);
    }
  }

  static short[] classes(Path path, MultiChannelImage image, List<Integer> values)
      throws IOException {
    float[] voxels = Nifti.open(path).volumes().getFirst().voxels();
    if (voxels.length != image.extents().voxels()) {
      throw new InvalidFileException(
          path, "%d voxels, expected %s as its image".formatted(voxels.length, image.extents()));
    }
    short[] classOf = new short[256];
    Arrays.fill(classOf, (short) -1);
    for (int label = 0; label < values.size(); label++) {
      classOf[values.get(label)] = (short) label;
    }
    short[] classes = new short[voxels.length];
    for (int voxel = 0; voxel < voxels.length; voxel++) {
      int value = (int) voxels[voxel];
      boolean known = value == voxels[voxel] && value >= 0 && value < classOf.length;
      if (!known || classOf[value] < 0) {
        throw new InvalidFileException(
            path,
            "voxel %d is %s, expected one of the plan's labels %s"
                .formatted(voxel, voxels[voxel], values));
      }
      classes[voxel] = classOf[value];
    }
    return classes;
  }
}
