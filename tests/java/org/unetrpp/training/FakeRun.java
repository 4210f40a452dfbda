package org.unetrpp.training;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import org.unetrpp.augmentation.AugmentationSettings;
import org.unetrpp.grid.Extents;
import org.unetrpp.inference.ModelDescription;
import org.unetrpp.planning.Fold;
import org.unetrpp.planning.Optimization;
import org.unetrpp.planning.Schedule;
import org.unetrpp.planning.TrainingPlan;
import org.unetrpp.sampling.Batch;
import org.unetrpp.testing.SmallModel;
import org.unetrpp.weights.StoredType;

/** Runs of a {@link FakeTrainer}. */
public final class FakeRun {
  static final int EPOCHS = 3;
  static final int ITERATIONS = 3;
  static final int VALIDATIONS = 2;
  static final Duration SELDOM = Duration.ofDays(1);

  /** Files that must be the same whatever happened on the way. */
  static final List<String> LASTING =
      List.of(
          "checkpoint_last.safetensors",
          "checkpoint_best.safetensors",
          "model.safetensors",
          "model_best.safetensors",
          "log.csv",
          "curve.png");

  final FakeTrainer trainer;
  final List<Long> trainedOn = new ArrayList<>();
  final List<Long> validatedOn = new ArrayList<>();
  final List<BatchProgress> progress = new ArrayList<>();
  final List<EpochResult> epochs = new ArrayList<>();

  FakeRun(Duration stepTime) {
    trainer = new FakeTrainer(stepTime);
  }

  /** A plan of so many epochs, training steps and validation batches for two folds. */
  public static TrainingPlan plan(int epochs, int iterations, int validations) {
    ModelDescription description = SmallModel.description(1);
    return new TrainingPlan(
        TrainingPlan.FORMAT_VERSION,
        "livers",
        "data",
        description.labels(),
        description.preprocessing(),
        description.architecture(),
        true,
        AugmentationSettings.published(false),
        Optimization.PUBLISHED,
        new Schedule(epochs, iterations, validations, 2, 0.33, 42),
        List.of(
            new Fold(List.of("b", "c"), List.of("a")), new Fold(List.of("a", "c"), List.of("b"))));
  }

  static TrainingPlan plan() {
    return plan(EPOCHS, ITERATIONS, VALIDATIONS);
  }

  /** A batch whose values depend on its number. */
  public static Batch batch(long index, int row) {
    float[] image = new float[4];
    for (int i = 0; i < image.length; i++) {
      image[i] = (float) Math.sin(index * 12.9898 + i * 78.233 + row);
    }
    short[] labels = {(short) Math.floorMod(index, 7), 0, 1, 2};
    return new Batch(1, 1, new Extents(1, 1, 4), image, labels);
  }

  TrainingRun in(RunFolder folder, TrainingPlan plan, Duration saveEvery, BooleanSupplier stop) {
    TrainingRun.Settings settings =
        new TrainingRun.Settings(plan, "0", 2, List.of(), "test", StoredType.FLOAT32, saveEvery);
    RunListener listener =
        new RunListener() {
          @Override
          public void batchDone(BatchProgress batch) {
            progress.add(batch);
          }

          @Override
          public void epochDone(EpochResult result, double seconds) {
            epochs.add(result);
          }
        };
    return new TrainingRun(
        settings,
        trainer,
        index -> {
          trainedOn.add(index);
          return batch(index, 0);
        },
        index -> {
          validatedOn.add(index);
          return batch(index, 1);
        },
        folder,
        listener,
        stop);
  }

  /** Starts in an empty folder, goes on in one with a run. */
  TrainingRun.Outcome run(Path path, TrainingPlan plan, Duration saveEvery, BooleanSupplier stop)
      throws IOException {
    try (RunFolder folder = RunFolder.open(path)) {
      TrainingRun run = in(folder, plan, saveEvery, stop);
      return RunFolder.hasRun(path)
          ? run.resume(folder.readLast(PlanHash.of(plan), "0"))
          : run.start();
    }
  }

  /** The files of {@link #LASTING} by name, as bytes. */
  static Map<String, byte[]> lasting(Path folder) throws IOException {
    Map<String, byte[]> files = new LinkedHashMap<>();
    for (String name : LASTING) {
      files.put(name, Files.readAllBytes(folder.resolve(name)));
    }
    return files;
  }
}
