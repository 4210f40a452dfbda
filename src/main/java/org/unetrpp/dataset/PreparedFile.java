package org.unetrpp.dataset;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.grid.Extents;
import org.unetrpp.pipeline.LabeledCase;
import org.unetrpp.weights.SafeTensors;
import org.unetrpp.weights.StoredTensor;
import org.unetrpp.weights.StoredType;
import org.unetrpp.weights.TensorFile;

/**
 * A prepared case on disk: safetensors with {@code image} (C, D, H, W), {@code labels} (D, H, W)
 * and {@code locations_1} and so on, and in its metadata what it was made from.
 */
final class PreparedFile {
  private static final String IMAGE = "image";
  private static final String LABELS = "labels";
  private static final String LOCATIONS = "locations_";
  private static final String ORIGIN = "origin";
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private PreparedFile() {}

  /**
   * Writes a case in one piece.
   *
   * @param origin what it was made from
   */
  static void write(Path target, LabeledCase prepared, List<int[]> locations, String origin)
      throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      Extents extents = prepared.image().extents();
      List<float[]> channels = prepared.image().channels();
      long voxels = extents.voxels();
      MemorySegment image = arena.allocate(channels.size() * voxels * Float.BYTES);
      for (int channel = 0; channel < channels.size(); channel++) {
        MemorySegment.copy(
            channels.get(channel), 0, image, FLOAT, channel * voxels * Float.BYTES, (int) voxels);
      }
      MemorySegment labels = arena.allocate(voxels * Short.BYTES);
      MemorySegment.copy(prepared.labels(), 0, labels, SHORT, 0, (int) voxels);

      long depth = extents.depth();
      long height = extents.height();
      long width = extents.width();
      List<StoredTensor> tensors = new ArrayList<>();
      tensors.add(
          StoredTensor.of(
              IMAGE,
              StoredType.FLOAT32,
              List.of((long) channels.size(), depth, height, width),
              image));
      tensors.add(StoredTensor.of(LABELS, StoredType.INT16, List.of(depth, height, width), labels));
      for (int label = 1; label <= locations.size(); label++) {
        int[] ofLabel = locations.get(label - 1);
        MemorySegment bytes = arena.allocate((long) ofLabel.length * Integer.BYTES);
        MemorySegment.copy(ofLabel, 0, bytes, INT, 0, ofLabel.length);
        tensors.add(
            StoredTensor.of(
                LOCATIONS + label, StoredType.INT32, List.of((long) ofLabel.length), bytes));
      }
      SafeTensors.write(target, tensors, Map.of(ORIGIN, origin), StoredType.FLOAT32);
    }
  }

  /**
   * Opens a prepared case; its values stay on the disk.
   *
   * @throws InvalidFileException if the file is damaged
   */
  @MustBeClosed
  static TensorFile open(Path path) throws IOException {
    return new SafeTensors().open(path);
  }

  /** Whether a file is there, whole, and was made from what {@code origin} says. */
  static boolean isCurrent(Path path, String origin) throws IOException {
    if (!Files.exists(path)) {
      return false;
    }
    try (TensorFile file = open(path)) {
      return origin.equals(file.metadata().get(ORIGIN));
    } catch (InvalidFileException _) {
      return false; // made anew
    }
  }

  /**
   * The case in an open file, usable as long as that is open.
   *
   * @param classes number of classes, background included
   * @throws InvalidFileException if a part is missing or of another shape
   */
  static PreparedCase read(TensorFile file, String id, int classes) throws InvalidFileException {
    StoredTensor image = file.tensor(IMAGE);
    StoredTensor labels = file.tensor(LABELS);
    List<Long> shape = image.shape();
    boolean fits =
        image.type() == StoredType.FLOAT32
            && labels.type() == StoredType.INT16
            && shape.size() == 4
            && labels.shape().equals(shape.subList(1, 4))
            && labels.elements() <= Integer.MAX_VALUE;
    if (!fits) {
      throw new InvalidFileException(
          file.path(), "is no prepared case: %s and %s".formatted(image, labels));
    }
    List<int[]> locations = new ArrayList<>();
    for (int label = 1; label < classes; label++) {
      StoredTensor stored = file.tensor(LOCATIONS + label);
      int[] voxels = stored.bytes().toArray(INT);
      for (int voxel : voxels) {
        if (voxel < 0 || voxel >= labels.elements()) {
          throw new InvalidFileException(
              file.path(), "%s names voxel %d of %s".formatted(stored, voxel, labels));
        }
      }
      locations.add(voxels);
    }
    return new PreparedCase(
        id,
        Math.toIntExact(shape.get(0)),
        new Extents(
            Math.toIntExact(shape.get(1)),
            Math.toIntExact(shape.get(2)),
            Math.toIntExact(shape.get(3))),
        image.bytes(),
        labels.bytes(),
        locations);
  }
}
