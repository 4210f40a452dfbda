package org.unetrpp.planning;

import java.util.List;
import org.unetrpp.augmentation.AugmentationSettings;
import org.unetrpp.inference.LabelClass;
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

  public TrainingPlan {
    labels = List.copyOf(labels);
    folds = List.copyOf(folds);
  }
}
