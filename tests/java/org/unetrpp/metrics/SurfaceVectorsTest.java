package org.unetrpp.metrics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Spacing;
import org.unetrpp.mask.LabelRuns;
import org.unetrpp.pipeline.Workers;

/** Random pairs of masks against what numpy and scipy compute by MedPy's rule. */
class SurfaceVectorsTest {
  private static final Path VECTORS = Path.of("resources", "metrics", "surfaces.csv");
  private static final List<Spacing> SPACINGS =
      List.of(
          new Spacing(1, 1, 1),
          new Spacing(3, 0.8, 0.8),
          new Spacing(0.7, 1.9, 1.1),
          new Spacing(10, 1.5, 1.25));

  /** Ten decimals are kept. */
  private static final double ROUNDING = 1e-10;

  /** A line of the file. */
  private record Vector(
      LabelVolume test, LabelVolume reference, Confusion confusion, List<Double> values) {
    static Vector parse(String line) {
      List<String> cells = Arrays.asList(line.split(",", -1));
      List<Integer> numbers = cells.subList(0, 8).stream().map(Integer::valueOf).toList();
      Extents extents = new Extents(numbers.get(1), numbers.get(2), numbers.get(3));
      Generator generator = new Generator(numbers.get(0));
      if (numbers.get(0) % 4 != 0) {
        generator.below(12); // the depth
      }
      generator.below(14);
      generator.below(20);
      Spacing spacing = SPACINGS.get(generator.below(SPACINGS.size()));
      Geometry geometry = new Geometry(extents, Affine.ofSpacing(spacing));
      LabelVolume test = new LabelVolume(geometry, generator.mask(extents));
      LabelVolume reference = new LabelVolume(geometry, generator.mask(extents));
      int both = numbers.get(7);
      int onlyTest = numbers.get(5) - both;
      int onlyReference = numbers.get(6) - both;
      long neither = extents.voxels() - both - onlyTest - onlyReference;
      return new Vector(
          test,
          reference,
          new Confusion(both, onlyTest, onlyReference, neither),
          cells.subList(8, 13).stream()
              .map(cell -> cell.equals("nan") ? Double.NaN : Double.parseDouble(cell))
              .toList());
    }
  }

  private static List<Vector> vectors() throws IOException {
    return Files.readAllLines(VECTORS).stream().skip(1).map(Vector::parse).toList();
  }

  @Test
  void dicesAndDistancesAreThoseOfMedPy() throws IOException {
    List<Vector> vectors = vectors();
    assertThat(vectors).hasSize(100);
    for (int seed = 0; seed < vectors.size(); seed++) {
      Vector vector = vectors.get(seed);
      StructureEvaluation evaluation =
          Evaluation.of(
                  vector.test,
                  vector.reference,
                  List.of(Structure.of("one", 1)),
                  new Settings(Convention.VOXELS, 1, false))
              .structure("one");
      assertThat(evaluation.confusion()).as("seed " + seed).isEqualTo(vector.confusion);
      List<Double> values = new ArrayList<>();
      values.add(evaluation.value(Metric.DICE));
      SurfaceDistances distances = distances(vector, 2);
      values.add(distances.hausdorff());
      values.add(distances.hausdorff95());
      boolean both =
          vector.confusion.testPositives() > 0 && vector.confusion.referencePositives() > 0;
      values.add(both ? distances.average() : Double.NaN);
      values.add(both ? distances.averageSymmetric() : Double.NaN);
      for (int i = 0; i < values.size(); i++) {
        double expected = vector.values.get(i);
        if (Double.isNaN(expected)) {
          assertThat(both).as("seed " + seed).isFalse();
        } else {
          assertThat(values.get(i)).as("seed " + seed).isCloseTo(expected, within(ROUNDING));
        }
      }
    }
  }

  @Test
  void distancesAreTheSameForAnyNumberOfThreads() throws IOException {
    for (Vector vector : vectors()) {
      SurfaceDistances one = distances(vector, 1);
      SurfaceDistances three = distances(vector, 3);
      assertThat(three.toReference()).isEqualTo(one.toReference());
      assertThat(three.toTest()).isEqualTo(one.toTest());
    }
  }

  private static SurfaceDistances distances(Vector vector, int threads) {
    boolean[] one = new boolean[256];
    one[1] = true;
    try (Workers workers = Workers.of(threads)) {
      return SurfaceDistances.between(
          LabelRuns.of(vector.test, workers).mask(one, workers),
          LabelRuns.of(vector.reference, workers).mask(one, workers),
          vector.test.spacing(),
          workers);
    }
  }

  /** The generator of make_vectors.py. */
  private static final class Generator {
    private long state;

    Generator(long seed) {
      state = seed;
    }

    int below(int bound) {
      state = state * 6364136223846793005L + 1442695040888963407L;
      return (int) ((state >>> 33) % bound);
    }

    byte[] mask(Extents extents) {
      byte[] mask = new byte[Math.toIntExact(extents.voxels())];
      int kind = below(8);
      switch (kind) {
        case 0 -> {}
        case 1 ->
            mask[
                    (below(extents.depth()) * extents.height() + below(extents.height()))
                            * extents.width()
                        + below(extents.width())] =
                1;
        case 2 -> Arrays.fill(mask, (byte) 1);
        default -> addBoxes(mask, extents);
      }
      for (int voxel = 0; kind >= 5 && voxel < mask.length; voxel++) {
        if (below(16) == 0) {
          mask[voxel] = (byte) (1 - mask[voxel]);
        }
      }
      return mask;
    }

    private void addBoxes(byte[] mask, Extents extents) {
      int boxes = 1 + below(3);
      for (int box = 0; box < boxes; box++) {
        int[] low = new int[3];
        int[] high = new int[3];
        for (int axis = 0; axis < 3; axis++) {
          low[axis] = below(extents.along(axis));
          high[axis] = low[axis] + 1 + below(extents.along(axis) - low[axis]);
        }
        for (int d = low[0]; d < high[0]; d++) {
          for (int h = low[1]; h < high[1]; h++) {
            int row = (d * extents.height() + h) * extents.width();
            Arrays.fill(mask, row + low[2], row + high[2], (byte) 1);
          }
        }
      }
    }
  }
}
