package org.unetrpp.backend.cpu;

import java.util.Arrays;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.PatchEmbeddingParameters;
import org.unetrpp.backend.cpu.Primitives.Epilogue;
import org.unetrpp.memory.Buffer;

/** Strided convolution, then group normalization, planned for its buffers. */
final class PatchEmbedding implements Runnable {
  private final ConvolutionMoments convolution;
  private final int groups;
  private final Moments grouped;
  private final float[] gamma;
  private final float[] beta;
  private final Affine[] affines; // of each item
  private final Runnable normalizing;

  PatchEmbedding(CpuBackend cpu, Buffer x, PatchEmbeddingParameters p, Buffer y, Grid grid) {
    Convolution shape = p.convolution();
    int channels = shape.outChannels();
    PlannedConvolution plan = cpu.convolution(shape, grid.extents(), Epilogue.NONE);
    convolution =
        new ConvolutionMoments(
            cpu.context(),
            plan,
            PlannedConvolution.operands(x, plan.pack(p.weight(), null), y),
            y,
            grid.batch(),
            channels);
    groups = p.groups();
    grouped = new Moments(channels);
    gamma = Values.of(p.gamma()).toArray();
    beta = Values.of(p.beta()).toArray();
    affines = new Affine[grid.batch()];
    Arrays.setAll(affines, _ -> new Affine(channels));
    normalizing = cpu.normalizations().applying(y, y, affines);
  }

  @Override
  public void run() {
    convolution.run();
    for (int item = 0; item < affines.length; item++) {
      grouped.set(convolution.items()[item], groups);
      affines[item].set(grouped, gamma, beta, ChannelNorm.EPSILON);
    }
    normalizing.run();
  }
}
