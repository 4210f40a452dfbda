package org.unetrpp.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;
import java.util.stream.LongStream;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Nifti;
import org.unetrpp.mask.Components;
import org.unetrpp.mask.Connectivity;
import org.unetrpp.mask.LabelRuns;
import org.unetrpp.metrics.CaseEvaluation;
import org.unetrpp.metrics.Evaluation;
import org.unetrpp.metrics.Metric;
import org.unetrpp.metrics.Settings;
import org.unetrpp.pipeline.Workers;

/**
 * Times the connected components and the evaluation of a large case, in this process; {@code
 * bench/metrics/run} does so beside scipy.
 *
 * <pre>
 * java -cp bench/target/benchmarks.jar org.unetrpp.bench.LabelMetrics make FOLDER SLICES
 * java -cp bench/target/benchmarks.jar org.unetrpp.bench.LabelMetrics time FOLDER THREADS PASSES
 * </pre>
 */
public final class LabelMetrics {
  private LabelMetrics() {}

  /** Writes the case, or prints a line for each task and pass: name, seconds, values. */
  public static void main(String[] args) throws IOException {
    Path folder = Path.of(args[1]);
    if (args[0].equals("make")) {
      SyntheticLabels.write(folder, Integer.parseInt(args[2]));
      return;
    }
    LabelVolume prediction = read(folder.resolve("prediction.nii.gz"));
    LabelVolume reference = read(folder.resolve("reference.nii.gz"));
    try (Workers workers = Workers.of(Integer.parseInt(args[2]))) {
      for (int pass = 0; pass < Integer.parseInt(args[3]); pass++) {
        time("components", () -> components(prediction, workers));
        time("hd95", () -> distances(prediction, reference, workers));
      }
    }
  }

  private static LabelVolume read(Path path) throws IOException {
    return LabelVolume.of(Nifti.open(path).volumes().getFirst());
  }

  private static void time(String name, Supplier<List<Double>> task) {
    long start = System.nanoTime();
    List<Double> values = task.get();
    double seconds = (System.nanoTime() - start) * 1e-9;
    System.out.println(String.format(Locale.ROOT, "%s %.4f %s", name, seconds, values));
  }

  /** Of each organ the number of components and the voxels of the largest. */
  private static List<Double> components(LabelVolume labels, Workers workers) {
    List<Double> values = new ArrayList<>();
    LabelRuns runs = LabelRuns.of(labels, workers);
    for (int label = 1; label <= SyntheticLabels.ORGANS; label++) {
      boolean[] membership = new boolean[256];
      membership[label] = true;
      Components components =
          Components.of(runs.mask(membership, workers), Connectivity.FACES, workers);
      values.add((double) components.count());
      values.add(
          (double)
              LongStream.range(0, components.count())
                  .map(i -> components.voxels((int) i))
                  .max()
                  .orElse(0));
    }
    return values;
  }

  /** HD95 of each organ in millimeters; all other metrics are computed with it. */
  private static List<Double> distances(
      LabelVolume prediction, LabelVolume reference, Workers workers) {
    CaseEvaluation evaluation =
        Evaluation.of(
            prediction,
            reference,
            Evaluation.foreground(prediction, reference),
            Settings.DEFAULT,
            workers);
    return evaluation.structures().stream().map(structure -> structure.value(Metric.HD95)).toList();
  }
}
