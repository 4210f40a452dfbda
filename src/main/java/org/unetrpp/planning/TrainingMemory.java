package org.unetrpp.planning;

import java.util.List;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.NetworkCost;

/// About the memory of a training step: what the forward pass keeps for the backward one, the
/// gradients and scratch of the largest box, and the parameters with their gradients and momentum.
///
/// | part | float values |
/// | --- | --- |
/// | full resolution | V (I + 8 F + 4 K): image, the maps of the two residual blocks, logits |
/// | a stage's embedding or upsampling, with its skip | 4 N C |
/// | a transformer block | 10 N C, and 4 more for a second residual convolution |
/// | heads below full resolution | 4 N K |
/// | largest box, while its gradient is computed | 3 times its largest map |
/// | parameters, gradients, momentum, packed weights | 4 a parameter |
///
/// V voxels of the patch, N tokens and C width of a stage, I input channels, F features at full
/// resolution, K classes. All but the last line once for each patch of the batch. For the Synapse
/// network and a batch of 2 this gives 3253 MiB; such a process, which also holds some 300 MiB of
/// the JVM's own, peaked at 3215 ({@code bench/results/training-step-synapse.md}).
public final class TrainingMemory {
  private static final int FULL_RESOLUTION_MAPS = 8;
  private static final int LOGIT_MAPS = 4;
  private static final int SAMPLING_MAPS = 4;
  private static final int BLOCK_MAPS = 10;
  private static final int SECOND_CONVOLUTION_MAPS = 4;
  private static final int SCRATCH_MAPS = 3;
  private static final int PARAMETER_COPIES = 4;

  private TrainingMemory() {}

  /** Bytes of a training step with a batch of so many patches, in float32. */
  public static long estimateBytes(Architecture architecture, int batchSize) {
    long voxels = architecture.patch().voxels();
    long features = architecture.featureSize();
    long classes = architecture.classes();
    long values =
        voxels
            * (architecture.inputChannels()
                + FULL_RESOLUTION_MAPS * features
                + LOGIT_MAPS * classes);
    long largestMap = voxels * Math.max(features, classes);
    for (int stage = 0; stage < Architecture.STAGES; stage++) {
      long map = (long) architecture.stageTokens(stage) * architecture.widths().get(stage);
      values += map * stageMaps(architecture, stage);
      largestMap = Math.max(largestMap, map);
      if (stage < 2) {
        values += LOGIT_MAPS * classes * architecture.stageTokens(stage);
      }
    }
    values += SCRATCH_MAPS * largestMap;
    long parameters =
        NetworkCost.parametersByPart(architecture).values().stream()
            .mapToLong(Long::longValue)
            .sum();
    return Float.BYTES * (batchSize * values + PARAMETER_COPIES * parameters);
  }

  private static long stageMaps(Architecture architecture, int stage) {
    List<Integer> depths = architecture.encoderDepths();
    boolean decoded = stage < Architecture.STAGES - 1;
    long blocks = (long) depths.get(stage) + (decoded ? architecture.decoderDepth() : 0);
    long second = architecture.residualConvolutions() - 1L;
    return blocks * (BLOCK_MAPS + second * SECOND_CONVOLUTION_MAPS)
        + (decoded ? 2L : 1L) * SAMPLING_MAPS;
  }
}
