package org.unetrpp.testing;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.Nifti;
import org.unetrpp.image.NiftiHeader;
import org.unetrpp.image.Spacing;
import org.unetrpp.image.Volume;
import org.unetrpp.image.VoxelType;
import org.unetrpp.nn.DeterministicTensor;

/**
 * A data set folder that a test makes file by file; {@code imagesTr} and {@code labelsTr} exist.
 *
 * @param folder of the data set
 */
public record SmallDataset(Path folder) {
  /** Size of its images. */
  public static final Extents EXTENTS = new Extents(4, 6, 5);

  /** Voxel distances of its images. */
  public static final Spacing SPACING = new Spacing(2, 1, 1);

  /** Where its images lie. */
  public static final Geometry GEOMETRY = new Geometry(EXTENTS, Affine.ofSpacing(SPACING));

  /** Makes the folders. */
  public static SmallDataset in(Path folder) throws IOException {
    Files.createDirectories(folder.resolve("imagesTr"));
    Files.createDirectories(folder.resolve("labelsTr"));
    return new SmallDataset(folder);
  }

  /** Writes a dataset.json for one channel and labels 1 and 2, without a list of cases. */
  public SmallDataset withDescription(String modality) throws IOException {
    return withDescription(
        "{'name': 'Small', 'modality': {'0': '%s'}, 'labels': {'0': 'background', '1': 'a', '2': 'b'}}"
            .formatted(modality),
        '\'');
  }

  /** Writes a dataset.json whose quotes are given as another character. */
  public SmallDataset withDescription(String json, char quote) throws IOException {
    Files.writeString(folder.resolve("dataset.json"), json.replace(quote, '"'));
    return this;
  }

  /** Writes cases of noise whose labels are 0, 1 and 2. */
  public SmallDataset withCases(String... ids) throws IOException {
    for (String id : ids) {
      image("imagesTr/" + id + ".nii.gz", GEOMETRY, noise(id));
      image("labelsTr/" + id + ".nii.gz", GEOMETRY, labels());
    }
    return this;
  }

  /** Writes a volume. */
  public Path image(String name, Geometry geometry, float[]... volumes) throws IOException {
    List<Volume> all = Arrays.stream(volumes).map(voxels -> new Volume(geometry, voxels)).toList();
    Path path = folder.resolve(name);
    Nifti.writeVolumes(path, all, NiftiHeader.of(geometry), VoxelType.FLOAT32);
    return path;
  }

  /** Intensities around 100, none of them 0. */
  public static float[] noise(String name) {
    return DeterministicTensor.values(name, (int) EXTENTS.voxels(), 100, 60);
  }

  /** Labels 0, 1, 2, 0, 1, 2, ... */
  public static float[] labels() {
    float[] labels = new float[(int) EXTENTS.voxels()];
    for (int voxel = 0; voxel < labels.length; voxel++) {
      labels[voxel] = voxel % 3;
    }
    return labels;
  }
}
