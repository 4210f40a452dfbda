package org.unetrpp.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.SortedSet;
import org.jspecify.annotations.Nullable;
import org.unetrpp.figure.ComparedCase;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.image.AxisMapping;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Nifti;
import org.unetrpp.image.NiftiFile;
import org.unetrpp.image.OnGrid;
import org.unetrpp.image.Volume;
import org.unetrpp.inference.LabelClass;

/**
 * The files that a figure is made of. Their axes may have different orders and directions.
 *
 * @param name of the case
 * @param image shown in gray; null for none
 * @param channel of the image, from 0
 * @param reference labels that are right
 * @param prediction labels that are compared with them
 */
record ComparedFiles(
    String name, @Nullable Path image, int channel, Path reference, Path prediction) {
  /**
   * Reads the files onto the reference's grid.
   *
   * @param classes names and colors of the labels; empty for those that are found, by number
   * @throws InvalidFileException if a file is no volume of its kind, lies on another grid, or holds
   *     a label that has no name
   */
  ComparedCase read(List<LabelClass> classes) throws IOException {
    LabelPair.Labels labels = readLabels();
    List<LabelClass> known = classes.isEmpty() ? found(labels) : classes;
    requireNames(reference, labels.reference(), known);
    requireNames(prediction, labels.prediction(), known);
    return compared(labels, known);
  }

  /** The same, where labels without a class count as background. */
  ComparedCase readOnly(List<LabelClass> classes) throws IOException {
    LabelPair.Labels labels = readLabels();
    return compared(
        new LabelPair.Labels(only(labels.prediction(), classes), only(labels.reference(), classes)),
        classes);
  }

  private LabelPair.Labels readLabels() throws IOException {
    LabelVolume right = LabelFile.open(reference).labels();
    LabelVolume said = LabelFile.open(prediction).labels();
    AxisMapping mapping = mapping(prediction, said, right.geometry());
    return new LabelPair.Labels(mapping.apply(said), right);
  }

  private ComparedCase compared(LabelPair.Labels labels, List<LabelClass> classes)
      throws IOException {
    return new ComparedCase(
        name,
        readImage(labels.reference().geometry()),
        labels.reference(),
        labels.prediction(),
        classes);
  }

  private static LabelVolume only(LabelVolume volume, List<LabelClass> classes) {
    boolean[] kept = new boolean[256];
    classes.forEach(label -> kept[label.value()] = true);
    byte[] labels = volume.labels().clone();
    for (int i = 0; i < labels.length; i++) {
      labels[i] = kept[Byte.toUnsignedInt(labels[i])] ? labels[i] : 0;
    }
    return new LabelVolume(volume.geometry(), labels);
  }

  private static List<LabelClass> found(LabelPair.Labels volumes) {
    SortedSet<Integer> labels = ComparedCase.labels(volumes.reference());
    labels.addAll(ComparedCase.labels(volumes.prediction()));
    return labels.stream().map(label -> LabelClass.of(label, "label " + label)).toList();
  }

  private static void requireNames(Path path, LabelVolume volume, List<LabelClass> classes)
      throws InvalidFileException {
    try {
      ComparedCase.requireNames(volume, classes);
    } catch (IllegalArgumentException e) {
      throw new InvalidFileException(path, String.valueOf(e.getMessage()), e);
    }
  }

  private @Nullable Volume readImage(Geometry grid) throws IOException {
    if (image == null) {
      return null;
    }
    NiftiFile file = Nifti.open(image);
    if (channel >= file.header().volumeCount()) {
      throw new InvalidFileException(
          image,
          "%d channels, expected one of number %d, counted from 0"
              .formatted(file.header().volumeCount(), channel));
    }
    Volume volume = file.volumes().get(channel);
    return mapping(image, volume, grid).apply(volume);
  }

  private AxisMapping mapping(Path path, OnGrid volume, Geometry grid) throws InvalidFileException {
    return AxisMapping.between(volume.geometry(), grid)
        .orElseThrow(() ->
            new InvalidFileException(
                path,
                "%s voxels at %s are not those of %s, %s at %s; resample it to that grid"
                    .formatted(
                        volume.extents(),
                        volume.affine(),
                        reference,
                        grid.extents(),
                        grid.affine())));
  }
}
