package org.unetrpp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Nifti;
import org.unetrpp.image.NiftiHeader;
import org.unetrpp.image.Spacing;
import org.unetrpp.image.Volume;
import org.unetrpp.image.VoxelType;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.testing.CommandRun;
import org.unetrpp.testing.SmallModel;

/** Probabilities of two runs to labels, and rules to remove components of such. */
class EnsembleCommandTest {
  private static final Extents EXTENTS = new Extents(3, 4, 5);
  private static final Geometry GEOMETRY =
      new Geometry(EXTENTS, Affine.ofSpacing(new Spacing(2, 1, 1)));
  private static final int CLASSES = 3;

  @TempDir Path folder;
  private Path first;
  private Path second;
  private Path results;

  @BeforeEach
  void makeFolders() throws IOException {
    first = Files.createDirectory(folder.resolve("first"));
    second = Files.createDirectory(folder.resolve("second"));
    results = folder.resolve("results");
  }

  /** Values that float16 has too. */
  private static List<float[]> probabilities(String name) {
    List<float[]> classes = new ArrayList<>();
    for (int label = 0; label < CLASSES; label++) {
      float[] values = DeterministicTensor.values(name + label, (int) EXTENTS.voxels(), 0.5f, 0.2f);
      for (int i = 0; i < values.length; i++) {
        values[i] = Float.float16ToFloat(Float.floatToFloat16(values[i]));
      }
      classes.add(values);
    }
    return classes;
  }

  private static void save(Path target, List<float[]> classes) throws IOException {
    Nifti.writeVolumes(
        target,
        classes.stream().map(values -> new Volume(GEOMETRY, values)).toList(),
        NiftiHeader.of(GEOMETRY),
        VoxelType.FLOAT32);
  }

  /** As numpy.savez_compressed(target, softmax=array) does. */
  private static void saveNumpy(Path target, List<float[]> classes, String shape)
      throws IOException {
    String header = "{'descr': '<f2', 'fortran_order': False, 'shape': %s, }".formatted(shape);
    byte[] text =
        (header + " ".repeat(117 - header.length()) + "\n").getBytes(StandardCharsets.US_ASCII);
    ByteBuffer values =
        ByteBuffer.allocate(classes.size() * classes.getFirst().length * Short.BYTES)
            .order(ByteOrder.LITTLE_ENDIAN);
    for (float[] of : classes) {
      for (float value : of) {
        values.putShort(Float.floatToFloat16(value));
      }
    }
    try (OutputStream file = Files.newOutputStream(target);
        ZipOutputStream zip = new ZipOutputStream(file)) {
      zip.putNextEntry(new ZipEntry("softmax.npy"));
      zip.write(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (byte) text.length, 0});
      zip.write(text);
      zip.write(values.array());
    }
    LabelVolume labels = new LabelVolume(GEOMETRY, new byte[(int) EXTENTS.voxels()]);
    Path beside = target.resolveSibling(target.getFileName().toString().replace(".npz", ".nii.gz"));
    Nifti.writeLabels(beside, labels, NiftiHeader.of(GEOMETRY));
  }

  private byte[] labels(String name) throws IOException {
    return LabelVolume.of(Nifti.open(results.resolve(name)).volumes().getFirst()).labels();
  }

  private static byte[] greatestMean(List<float[]> a, List<float[]> b, int... values) {
    byte[] labels = new byte[(int) EXTENTS.voxels()];
    for (int voxel = 0; voxel < labels.length; voxel++) {
      int best = 0;
      for (int label = 1; label < CLASSES; label++) {
        if (a.get(label)[voxel] + b.get(label)[voxel] > a.get(best)[voxel] + b.get(best)[voxel]) {
          best = label;
        }
      }
      labels[voxel] = (byte) values[best];
    }
    return labels;
  }

  @Test
  void labelsAreThoseOfTheGreatestMean() throws IOException {
    List<float[]> a = probabilities("a");
    List<float[]> b = probabilities("b");
    save(first.resolve("case_prob.nii.gz"), a);
    save(second.resolve("case_prob.nii.gz"), b);
    Path model = SmallModel.write(folder.resolve("small.safetensors"), 1);
    CommandRun run = CommandRun.of("ensemble", first, second, "-o", results, "--model", model);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.out()).containsExactly(results.resolve("case_seg.nii.gz").toString());
    assertThat(labels("case_seg.nii.gz")).isEqualTo(greatestMean(a, b, 0, 2, 7));
  }

  @Test
  void publishedFilesAreReadToo() throws IOException {
    List<float[]> a = probabilities("a");
    List<float[]> b = probabilities("b");
    saveNumpy(first.resolve("case.npz"), a, "(3, 3, 4, 5)");
    save(second.resolve("case_prob.nii.gz"), b);
    CommandRun run = CommandRun.of("ensemble", first, second, "-o", results);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(labels("case_seg.nii.gz")).isEqualTo(greatestMean(a, b, 0, 1, 2));
  }

  @Test
  void whatDoesNotFitIsNamed() throws IOException {
    save(first.resolve("case_prob.nii.gz"), probabilities("a"));
    assertFails(second + ": holds no probabilities (CASE_prob.nii.gz or CASE.npz)");
    save(second.resolve("other_prob.nii.gz"), probabilities("b"));
    assertFails(first + ": holds no probabilities of case 'other', which " + second + " does");
    Files.delete(second.resolve("other_prob.nii.gz"));
    save(second.resolve("case_prob.nii.gz"), probabilities("b").subList(0, 2));
    assertFails("case_prob.nii.gz: 2 classes, expected 3 as " + first);
    Files.delete(second.resolve("case_prob.nii.gz"));
    saveNumpy(second.resolve("case.npz"), probabilities("b"), "(3, 2, 6, 5)");
    assertFails("softmax of shape [3, 2, 6, 5], expected (classes, 3, 4, 5) as ");
    Files.writeString(second.resolve("case.npz"), "no zip");
    assertFails("case.npz: no .npz file: ");
  }

  private void assertFails(String problem) {
    CommandRun run = CommandRun.of("ensemble", first, second, "-o", results);
    assertThat(run.exitCode()).as(run.errorText()).isEqualTo(3);
    assertThat(run.errorText()).contains(problem);
  }

  @Test
  void smallComponentsAreRemovedByARule() throws IOException {
    byte[] labels = new byte[(int) EXTENTS.voxels()];
    labels[0] = 1;
    labels[1] = 1;
    labels[7] = 1;
    Path source = first.resolve("case_seg.nii.gz");
    Nifti.writeLabels(source, new LabelVolume(GEOMETRY, labels), NiftiHeader.of(GEOMETRY));
    labels[7] = 0;
    Path reference = second.resolve("case.nii.gz");
    Nifti.writeLabels(reference, new LabelVolume(GEOMETRY, labels), NiftiHeader.of(GEOMETRY));
    Path rule = folder.resolve("rule.json");
    CommandRun determined =
        CommandRun.of(
            "determine-postprocessing", "--predictions", first, "--labels", second, "-o", rule);
    assertThat(determined.exitCode()).as(determined.errorText()).isZero();
    assertThat(determined.out())
        .containsExactly(
            "label    Dice  all as one  each class",
            "1      0.8000      1.0000           -",
            "only the largest component of: [1]");
    CommandRun run = CommandRun.of("postprocess", first, "--rule", rule, "-o", results);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(labels("case_seg.nii.gz")).isEqualTo(labels);
    CommandRun onto = CommandRun.of("postprocess", first, "--rule", rule, "-o", first);
    assertThat(onto.exitCode()).isEqualTo(1);
    assertThat(onto.errorText()).contains("holds the input, expected another folder");
    CommandRun wrong = CommandRun.of("postprocess", first, "--rule", source, "-o", results);
    assertThat(wrong.exitCode()).isEqualTo(3);
  }
}
