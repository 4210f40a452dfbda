package org.unetrpp.inference;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.pipeline.Workers;

/**
 * Labels of the mean of several runs' probabilities. Takes 5 bytes a voxel, beside what the files
 * themselves hold, and some MiB for each.
 */
public final class ProbabilityMean {
  private static final int PIECE = 1 << 20;

  private ProbabilityMean() {}

  /**
   * The class of the greatest mean at each voxel, the first of equal ones.
   *
   * @param runs at least one, just opened; read to their end. Summed in their order, in float
   * @return class numbers on the grid of the first
   * @throws InvalidFileException if a file has other classes or another grid than the first, or is
   *     damaged
   */
  public static LabelVolume labels(List<SavedProbabilities> runs, Workers workers)
      throws IOException {
    SavedProbabilities first = runs.getFirst();
    Geometry geometry = first.header().geometry();
    for (SavedProbabilities run : runs) {
      requireAlike(run, first);
    }
    byte[] labels = new byte[Math.toIntExact(geometry.extents().voxels())];
    float[] greatest = new float[labels.length];
    float[][] pieces = new float[runs.size()][Math.min(PIECE, labels.length)];
    for (int label = 0; label < first.classes(); label++) {
      for (int start = 0; start < labels.length; start += PIECE) {
        int count = Math.min(PIECE, labels.length - start);
        read(runs, pieces, count, workers);
        for (int run = 1; run < pieces.length; run++) {
          add(pieces[run], pieces[0], count);
        }
        offer(label, pieces[0], count, greatest, labels, start);
      }
    }
    return new LabelVolume(geometry, labels);
  }

  private static void requireAlike(SavedProbabilities run, SavedProbabilities first)
      throws InvalidFileException {
    if (run.classes() != first.classes()) {
      throw new InvalidFileException(
          run.path(),
          "%d classes, expected %d as %s has"
              .formatted(run.classes(), first.classes(), first.path()));
    }
    Geometry geometry = first.header().geometry();
    if (!run.header().geometry().isCloseTo(geometry)) {
      throw new InvalidFileException(
          run.path(),
          "lies on %s, expected %s as %s does"
              .formatted(run.header().geometry(), geometry, first.path()));
    }
  }

  private static void read(
      List<SavedProbabilities> runs, float[][] pieces, int count, Workers workers)
      throws IOException {
    try {
      workers.forEach(
          pieces.length,
          run -> {
            try {
              runs.get(run).read(pieces[run], count);
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          });
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  private static void add(float[] piece, float[] sums, int count) {
    for (int i = 0; i < count; i++) {
      sums[i] += piece[i];
    }
  }

  /** Compares sums, whose order is that of the means. */
  private static void offer(
      int label, float[] sums, int count, float[] greatest, byte[] labels, int start) {
    for (int i = 0; i < count; i++) {
      if (label == 0 || sums[i] > greatest[start + i]) {
        greatest[start + i] = sums[i];
        labels[start + i] = (byte) label;
      }
    }
  }
}
