package org.unetrpp.pipeline;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import org.unetrpp.grid.Extents;

/** Two classes that depend on the voxel itself: 1 - f(x) and f(x). */
record VoxelwisePredictor(Extents patch, FloatFunction function) implements FillingPredictor {
  interface FloatFunction {
    float of(float value);
  }

  @Override
  public int channels() {
    return 1;
  }

  @Override
  public int classes() {
    return 2;
  }

  @Override
  public void fill(MemorySegment input, MemorySegment probabilities) {
    for (long voxel = 0; voxel < patch.voxels(); voxel++) {
      float foreground = function.of(input.getAtIndex(JAVA_FLOAT, voxel));
      probabilities.setAtIndex(JAVA_FLOAT, voxel, 1 - foreground);
      probabilities.setAtIndex(JAVA_FLOAT, patch.voxels() + voxel, foreground);
    }
  }
}
