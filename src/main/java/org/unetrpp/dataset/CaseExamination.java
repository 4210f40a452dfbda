package org.unetrpp.dataset;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.Nifti;
import org.unetrpp.image.Volume;
import org.unetrpp.pipeline.Box;
import org.unetrpp.pipeline.Crop;
import org.unetrpp.pipeline.MultiChannelImage;
import org.unetrpp.pipeline.Workers;

/** Reads one case and gathers what is wrong with it and what planning needs to know. */
final class CaseExamination {
  private static final int SAMPLING = 10;
  private static final int LABEL_VALUES = 256;
  private static final double SAME_MILLIMETERS = 1e-3;

  private final DatasetCase files;
  private final List<String> channels;
  private final List<DatasetLabel> declared;
  private final List<Problem> problems = new ArrayList<>();
  private final BitSet labelValues = new BitSet(LABEL_VALUES);

  private CaseExamination(DatasetCase files, List<String> channels, List<DatasetLabel> declared) {
    this.files = files;
    this.channels = channels;
    this.declared = declared;
  }

  /**
   * What came out.
   *
   * @param problems all that is wrong
   * @param labelValues that occur
   * @param fingerprint null if the case is too broken to have one
   */
  record Result(
      List<Problem> problems, BitSet labelValues, @Nullable CaseFingerprint fingerprint) {}

  /**
   * Examines a case.
   *
   * @param declared labels that may occur; empty if any may
   */
  static Result of(
      DatasetCase files, List<String> channels, List<DatasetLabel> declared, Workers workers) {
    CaseExamination examination = new CaseExamination(files, channels, declared);
    CaseFingerprint fingerprint = examination.run(workers);
    return new Result(examination.problems, examination.labelValues, fingerprint);
  }

  private @Nullable CaseFingerprint run(Workers workers) {
    List<Volume> images = readImages();
    Volume label = readLabel();
    if (images.size() != channels.size() || label == null) {
      return null;
    }
    Geometry geometry = images.getFirst().geometry();
    if (!isOn(geometry, label, files.label())) {
      return null;
    }
    MultiChannelImage image =
        new MultiChannelImage(
            images.stream().map(Volume::voxels).toList(), geometry.extents(), geometry.spacing());
    Box box = Crop.nonzeroBox(image, workers);
    List<float[]> samples = new ArrayList<>();
    for (int channel = 0; channel < channels.size(); channel++) {
      samples.add(
          Fingerprint.isCt(channels.get(channel))
              ? sample(image.channels().get(channel), label.voxels(), image.extents(), box)
              : new float[0]);
    }
    return new CaseFingerprint(
        files.id(),
        box.extents(),
        geometry.spacing(),
        (double) box.extents().voxels() / image.extents().voxels(),
        geometry.affine().axisCodes(),
        samples);
  }

  private List<Volume> readImages() {
    List<Volume> images = new ArrayList<>();
    boolean complete = true;
    for (Path path : files.images()) {
      if (!Files.exists(path)) {
        String what = files.images().size() == 1 ? "its image" : "a channel";
        problems.add(
            Problem.error(
                path,
                "%s of case '%s' is missing; add it, or take the case out of the data set"
                    .formatted(what, files.id())));
        complete = false;
        continue;
      }
      try {
        images.addAll(Nifti.open(path).volumes());
      } catch (IOException e) {
        problems.add(Problem.unreadable(path, e));
        complete = false;
      }
    }
    return complete && isUsable(images) ? images : List.of();
  }

  private boolean isUsable(List<Volume> images) {
    if (images.size() != channels.size()) {
      problems.add(
          Problem.error(
              files.images().getFirst(),
              "%d channels, expected %d: %s"
                  .formatted(images.size(), channels.size(), String.join(", ", channels))));
      return false;
    }
    boolean usable = true;
    for (int channel = 0; channel < images.size(); channel++) {
      boolean ownFile = files.images().size() == images.size();
      Path path = files.images().get(ownFile ? channel : 0);
      String prefix = ownFile ? "" : "channel %d (%s): ".formatted(channel, channels.get(channel));
      Volume image = images.get(channel);
      usable &= isOn(images.getFirst().geometry(), image, path);
      usable &= hasContent(image.voxels(), path, prefix);
    }
    return usable;
  }

  /** Whether a volume lies on the grid of the first channel. */
  private boolean isOn(Geometry expected, Volume volume, Path path) {
    Geometry found = volume.geometry();
    String than = " than " + files.images().getFirst().getFileName();
    if (!found.extents().equals(expected.extents())) {
      problems.add(
          Problem.error(
              path,
              "another size%s: %s, expected %s voxels; resample it to that grid"
                  .formatted(than, found.extents(), expected.extents())));
      return false;
    }
    if (!Affine.ofSpacing(found.spacing())
        .isCloseTo(Affine.ofSpacing(expected.spacing()), SAME_MILLIMETERS)) {
      problems.add(
          Problem.error(
              path,
              "another voxel spacing%s: %s, expected %s mm; correct its header, or resample it"
                  .formatted(
                      than,
                      millimeters(found.spacing().toArray()),
                      millimeters(expected.spacing().toArray()))));
      return false;
    }
    if (!found.isCloseTo(expected)) {
      problems.add(
          Problem.error(
              path,
              ("another position or orientation%s: affine %s, expected %s; "
                      + "correct its header, or resample it")
                  .formatted(than, found.affine(), expected.affine())));
      return false;
    }
    return true;
  }

  private static String millimeters(double[] spacing) {
    return String.format(Locale.ROOT, "%.4g x %.4g x %.4g", spacing[0], spacing[1], spacing[2]);
  }

  private boolean hasContent(float[] voxels, Path path, String prefix) {
    int notFinite = 0;
    boolean constant = true;
    for (float voxel : voxels) {
      if (!Float.isFinite(voxel)) {
        notFinite++;
      }
      constant &= voxel == voxels[0];
    }
    if (notFinite > 0) {
      problems.add(
          Problem.error(path, "%s%d voxels are NaN or infinite".formatted(prefix, notFinite)));
    } else if (constant) {
      problems.add(Problem.error(path, "%sempty: every voxel is %s".formatted(prefix, voxels[0])));
    }
    return notFinite == 0 && !constant;
  }

  private @Nullable Volume readLabel() {
    Path path = files.label();
    if (!Files.exists(path)) {
      problems.add(
          Problem.error(
              path,
              "the label of case '%s' is missing; add it, or take the case out of the data set"
                  .formatted(files.id())));
      return null;
    }
    try {
      List<Volume> volumes = Nifti.open(path).volumes();
      if (volumes.size() == 1) {
        return hasLabels(volumes.getFirst(), path) ? volumes.getFirst() : null;
      }
      problems.add(
          Problem.error(path, "%d volumes, expected one with labels".formatted(volumes.size())));
    } catch (IOException e) {
      problems.add(Problem.unreadable(path, e));
    }
    return null;
  }

  private boolean hasLabels(Volume volume, Path path) {
    int wrong = 0;
    float firstWrong = 0;
    for (float voxel : volume.voxels()) {
      int value = (int) voxel;
      if (value != voxel || value < 0 || value >= LABEL_VALUES) {
        firstWrong = wrong == 0 ? voxel : firstWrong;
        wrong++;
      } else {
        labelValues.set(value);
      }
    }
    if (wrong > 0) {
      problems.add(
          Problem.error(
              path,
              "%d voxels are no labels, such as %s: expected whole numbers from 0 to 255"
                  .formatted(wrong, firstWrong)));
    }
    List<Integer> undeclared =
        labelValues.stream().filter(value -> !isDeclared(value)).boxed().toList();
    if (!undeclared.isEmpty()) {
      problems.add(
          Problem.error(
              path,
              ("label values %s are not declared, expected some of %s; "
                      + "declare them, or relabel the file")
                  .formatted(undeclared, declared.stream().map(DatasetLabel::value).toList())));
    }
    if (wrong == 0 && labelValues.nextSetBit(1) < 0) {
      problems.add(Problem.warning(path, "nothing but background"));
    }
    return wrong == 0 && undeclared.isEmpty();
  }

  private boolean isDeclared(int value) {
    return declared.isEmpty() || declared.stream().anyMatch(label -> label.value() == value);
  }

  /** Every tenth foreground voxel of a box, width fastest. */
  private static float[] sample(float[] image, float[] labels, Extents extents, Box box) {
    int count = 0;
    float[] sampled = new float[1024];
    for (int depth = box.origin().depth(); depth < box.end(0); depth++) {
      for (int row = box.origin().height(); row < box.end(1); row++) {
        int first = (depth * extents.height() + row) * extents.width();
        for (int voxel = first + box.origin().width(); voxel < first + box.end(2); voxel++) {
          if (labels[voxel] > 0) {
            if (count % SAMPLING == 0) {
              if (count / SAMPLING == sampled.length) {
                sampled = Arrays.copyOf(sampled, 2 * sampled.length);
              }
              sampled[count / SAMPLING] = image[voxel];
            }
            count++;
          }
        }
      }
    }
    return Arrays.copyOf(sampled, Math.ceilDiv(count, SAMPLING));
  }
}
