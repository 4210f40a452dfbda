package org.unetrpp.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.unetrpp.files.AtomicFile;
import org.unetrpp.inference.LabelMeasure;

/**
 * A CSV file with a row for each label of each case. It is written anew after each case, so a run
 * that ends early leaves the rows of the cases that are done.
 */
final class VolumesFile {
  private static final char LINE_END = '\n';

  private final Path target;
  private final StringBuilder text = new StringBuilder();

  private VolumesFile(Path target) {
    this.target = target;
  }

  /** Writes a file without rows, so that one that cannot be written is found before the work. */
  static VolumesFile create(Path target) throws IOException {
    VolumesFile file = new VolumesFile(target);
    file.append("case", "segmentation", "label", "name", "voxels", "ml");
    file.write();
    return file;
  }

  /** Adds the labels of a case. */
  void add(String caseName, Path segmentation, List<LabelMeasure> measures) throws IOException {
    for (LabelMeasure measure : measures) {
      append(
          caseName,
          segmentation.toString(),
          String.valueOf(measure.label().value()),
          measure.label().name(),
          String.valueOf(measure.voxels()),
          String.format(Locale.ROOT, "%.6f", measure.milliliters()));
    }
    write();
  }

  private void append(String... fields) {
    text.append(Stream.of(fields).map(VolumesFile::quoted).collect(Collectors.joining(",")))
        .append(LINE_END);
  }

  private static String quoted(String field) {
    return field.matches("[^\",\r\n]*") ? field : '"' + field.replace("\"", "\"\"") + '"';
  }

  private void write() throws IOException {
    byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
    AtomicFile.write(target, out -> out.write(bytes));
  }
}
