package org.unetrpp.planning;

import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.unetrpp.augmentation.AugmentationSettings;
import org.unetrpp.dataset.PreparedDataset;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.inference.ModelDescription;
import org.unetrpp.inference.Provenance;
import org.unetrpp.model.Architecture;
import org.unetrpp.pipeline.PreprocessingPlan;

/**
 * All that decides a training run: readable JSON that a person may edit.
 *
 * @param formatVersion of the file
 * @param name of the data set
 * @param dataset its folder, absolute or relative to the plan file
 * @param labels background first; the position is the network's class, the value that in files
 * @param preprocessing what is done to images
 * @param architecture the network
 * @param batchDice whether Dice is taken over the whole batch rather than sample by sample
 * @param augmentation how patches are transformed
 * @param optimization how parameters are updated
 * @param schedule how long
 * @param folds divisions of the cases
 */
public record TrainingPlan(
    int formatVersion,
    String name,
    String dataset,
    List<LabelClass> labels,
    PreprocessingPlan preprocessing,
    Architecture architecture,
    boolean batchDice,
    AugmentationSettings augmentation,
    Optimization optimization,
    Schedule schedule,
    List<Fold> folds) {
  /** The format that this program writes. */
  public static final int FORMAT_VERSION = 1;

  /** The name of the fold of every case. */
  public static final String ALL = "all";

  public TrainingPlan {
    labels = List.copyOf(labels);
    folds = List.copyOf(folds);
    if (formatVersion != FORMAT_VERSION) {
      throw new IllegalArgumentException(
          "formatVersion is %d, expected %d".formatted(formatVersion, FORMAT_VERSION));
    }
    if (folds.isEmpty()) {
      throw new IllegalArgumentException("folds is empty, expected at least one");
    }
    long lastTokens = architecture.stageTokens(Architecture.STAGES - 1);
    if (lastTokens * schedule.batchSize() < 2) {
      throw new IllegalArgumentException(
          ("patch %s leaves one token in the last stage, "
                  + "whose batch normalization needs two: a larger patch, or batchSize 2")
              .formatted(architecture.patch()));
    }
    // Labels, network and channels must fit each other as in the model that will come of them.
    ModelDescription _ =
        new ModelDescription(
            architecture, labels, preprocessing, new Provenance("", List.of(), ""));
  }

  /** The same with other divisions of the cases. */
  public TrainingPlan withFolds(List<Fold> newFolds) {
    return new TrainingPlan(
        formatVersion,
        name,
        dataset,
        labels,
        preprocessing,
        architecture,
        batchDice,
        augmentation,
        optimization,
        schedule,
        newFolds);
  }

  /**
   * A fold by its name: its number, or {@link #ALL} for every case to train and validate on.
   *
   * @return nothing if the plan has no such fold
   */
  public Optional<Fold> fold(String fold) {
    if (fold.equals(ALL)) {
      List<String> all =
          folds.stream()
              .flatMap(each -> Stream.concat(each.training().stream(), each.validation().stream()))
              .distinct()
              .sorted()
              .toList();
      return Optional.of(new Fold(all, all));
    }
    return fold.matches("\\d{1,4}") && Integer.parseInt(fold) < folds.size()
        ? Optional.of(folds.get(Integer.parseInt(fold)))
        : Optional.empty();
  }

  /** Value in label files of each class, background first. */
  public List<Integer> labelValues() {
    return labels.stream().map(LabelClass::value).toList();
  }

  /** How its cases are prepared. */
  public PreparedDataset.Recipe recipe() {
    return new PreparedDataset.Recipe(preprocessing, labelValues());
  }
}
