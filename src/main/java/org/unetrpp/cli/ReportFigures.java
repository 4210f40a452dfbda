package org.unetrpp.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.unetrpp.drawing.PngFile;
import org.unetrpp.figure.CaseFigure;
import org.unetrpp.figure.ComparedCase;
import org.unetrpp.figure.FigureSettings;
import org.unetrpp.figure.Palette;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.preview.ViewDirection;
import org.unetrpp.report.EvaluationPage;

/**
 * Small figures for a report, each drawn from its files when it is asked for.
 *
 * @param files label volumes by case
 * @param images by case; cases without one are drawn without
 * @param labels classes to show; empty for all that are found
 */
record ReportFigures(
    Map<String, LabelPair> files, Map<String, Path> images, List<LabelClass> labels)
    implements EvaluationPage.Figures {
  private static final String FIRST_CHANNEL = "_0000";
  private static final int SLICES = 2;

  /** Panels get smaller until the figure is no larger than this. */
  private static final int MOST_BYTES = 400_000;

  private static final List<Integer> PANELS = List.of(240, 180, 128);

  /**
   * The images of a folder by the name of their case; of several channels, the first.
   *
   * @throws InvalidFileException if the folder holds no image
   */
  static Map<String, Path> imagesByCase(Path folder) throws IOException {
    Map<String, Path> images = new HashMap<>();
    for (Path file : CaseFiles.imagesIn(folder)) {
      String stem = CaseFiles.stem(file);
      images.put(
          stem.endsWith(FIRST_CHANNEL)
              ? stem.substring(0, stem.length() - FIRST_CHANNEL.length())
              : stem,
          file);
    }
    if (images.isEmpty()) {
      throw new InvalidFileException(folder, "holds no NIfTI image (.nii, .nii.gz, .hdr)");
    }
    return images;
  }

  @Override
  public byte[] png(EvaluationPage.Case drawn) throws IOException {
    LabelPair pair = files.get(drawn.name());
    if (pair == null) {
      throw new IOException("no files of case " + drawn.name());
    }
    ComparedFiles compared =
        new ComparedFiles(
            pair.name(), images.get(pair.name()), 0, pair.reference(), pair.prediction());
    ComparedCase read = labels.isEmpty() ? compared.read(labels) : compared.readOnly(labels);
    byte[] png = {};
    for (int panel : PANELS) {
      png = PngFile.bytes(CaseFigure.draw(read, settings(panel)));
      if (png.length <= MOST_BYTES) {
        break;
      }
    }
    return png;
  }

  private static FigureSettings settings(int panel) {
    return new FigureSettings(ViewDirection.AXIAL, SLICES, panel, null, false, false, Palette.DARK);
  }
}
