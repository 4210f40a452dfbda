package org.unetrpp.planning;

import java.util.List;
import org.unetrpp.grid.Extents;
import org.unetrpp.pipeline.PreprocessingPlan;

/**
 * What a plan of the published planner decides.
 *
 * @param preprocessing what is done to images
 * @param labelValues value in label files of each class, ascending from background
 * @param patch the network's input, in its order of axes
 * @param batchSize patches of a batch
 * @param pooling factors of each level of the planned U-Net
 * @param sliceWise whether augmentation leaves the slice axis alone
 * @param batchDice whether Dice is taken over the whole batch
 */
public record ImportedPlan(
    PreprocessingPlan preprocessing,
    List<Integer> labelValues,
    Extents patch,
    int batchSize,
    List<Extents> pooling,
    boolean sliceWise,
    boolean batchDice) {
  public ImportedPlan {
    labelValues = List.copyOf(labelValues);
    pooling = List.copyOf(pooling);
  }
}
