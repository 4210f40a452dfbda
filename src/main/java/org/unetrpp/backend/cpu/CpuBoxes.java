package org.unetrpp.backend.cpu;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.ComposedBoxes;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PatchEmbeddingParameters;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.ResidualBlockParameters.Tail;
import org.unetrpp.backend.UpsampleParameters;
import org.unetrpp.backend.cpu.PlannedConvolution.Follower;
import org.unetrpp.backend.cpu.PlannedConvolution.Operands;
import org.unetrpp.backend.cpu.PlannedConvolution.Packed;
import org.unetrpp.backend.cpu.Primitives.Epilogue;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * The boxes with their steps joined: what follows a convolution is done while its slab is in the
 * cache, normalizations with given statistics are part of the weights, and attention goes without
 * queries, keys and values where that is less work. The probe is shown none of the steps.
 */
final class CpuBoxes extends ComposedBoxes {
  private static final float SLOPE = (float) ResidualBlockParameters.SLOPE;
  private static final Epilogue BIAS_LEAKY = new Epilogue(true, false, SLOPE);
  private static final Epilogue BIAS_ADD = new Epilogue(true, true, 1);
  private static final Epilogue BIAS_ADD_LEAKY = new Epilogue(true, true, SLOPE);

  private final CpuBackend cpu;
  private final CpuContext context;
  private final InstanceBlock instanceBlock;

  CpuBoxes(CpuBackend backend) {
    super(backend);
    cpu = backend;
    context = backend.context();
    instanceBlock = new InstanceBlock(backend);
  }

  @Override
  public void patchEmbedding(Buffer x, PatchEmbeddingParameters p, Buffer y, Grid grid) {
    Convolution shape = p.convolution();
    int channels = shape.outChannels();
    PlannedConvolution plan = cpu.convolution(shape, grid.extents(), Epilogue.NONE);
    Operands operands = Operands.of(x, plan.pack(p.weight(), null), y);
    Moments[] items = Normalizations.moments(context, plan, operands, grid.batch(), channels);
    float[] gamma = Values.of(p.gamma()).toArray();
    float[] beta = Values.of(p.beta()).toArray();
    Affine[] affines = new Affine[items.length];
    Arrays.setAll(
        affines,
        item ->
            Affine.of(items[item].byGroup(p.groups()), gamma, beta, channels, ChannelNorm.EPSILON));
    cpu.normalizations().apply(y, y, affines);
  }

  @Override
  public void pairedAttention(Buffer x, PairedAttentionParameters p, Buffer y, int batch) {
    PairedAttention.of(context, p, batch).run(x, y);
  }

  @Override
  public void residualBlock(
      Buffer x, ResidualBlockParameters p, @Nullable Buffer skip, Buffer y, Grid grid) {
    if (p.norm1() instanceof ChannelNorm.Batch norm1
        && p.norm2() instanceof ChannelNorm.Batch norm2
        && p.shortcut() == null
        && (p.tail() == null || skip != null)) {
      batchNormBlock(x, p, norm1, norm2, skip, y, grid);
    } else if (p.norm1() instanceof ChannelNorm.Instance
        && p.norm2() instanceof ChannelNorm.Instance
        && p.tail() == null) {
      instanceBlock.run(x, p, y, grid);
    } else {
      super.residualBlock(x, p, skip, y, grid);
    }
  }

  /** Both normalizations are part of the weights; the tail works on the slab just written. */
  private void batchNormBlock(
      Buffer x,
      ResidualBlockParameters p,
      ChannelNorm.Batch norm1,
      ChannelNorm.Batch norm2,
      @Nullable Buffer skip,
      Buffer y,
      Grid grid) {
    Convolution shape = Convolution.same3(p.inChannels(), p.outChannels());
    PlannedConvolution first = cpu.convolution(shape, grid.extents(), BIAS_LEAKY);
    PlannedConvolution second = cpu.convolution(shape, grid.extents(), BIAS_ADD_LEAKY);
    try (var _ = cpu.scopes().open()) {
      Buffer hidden = cpu.scopes().allocate(DType.FLOAT32, y.elements());
      first.runAll(
          context.pool(), grid.batch(), Operands.of(x, first.fold(p.weight1(), norm1), hidden));
      Packed weights = second.fold(p.weight2(), norm2);
      Tail tail = p.tail();
      if (tail == null || skip == null) {
        second.runAll(context.pool(), grid.batch(), Operands.adding(hidden, weights, x, y));
      } else {
        TailConvolution last = new TailConvolution(second.followedVoxels(), tail, skip, y);
        Operands operands = Operands.adding(hidden, weights, x, null);
        second.runAll(context.pool(), grid.batch(), operands, last::following);
      }
    }
  }

  /** {@code y = skip + W z + b} of some voxels at a time. */
  private final class TailConvolution {
    private final List<Part> parts = new ArrayList<>();
    private final Buffer skip;
    private final Buffer y;
    private final int channels;

    private record Part(int voxels, SlabConvolution plan, Packed weights) {}

    TailConvolution(int[] voxels, Tail tail, Buffer skip, Buffer y) {
      this.skip = skip;
      this.y = y;
      channels = Math.toIntExact(tail.bias().elements());
      Convolution shape = Convolution.pointwise(channels, channels);
      for (int count : voxels) {
        SlabConvolution plan = cpu.slabConvolution(shape, new Extents(1, 1, count), BIAS_ADD);
        parts.add(new Part(count, plan, plan.pack(tail.weight(), tail.bias())));
      }
    }

    Follower following(Worker worker) {
      return (z, voxel, voxels) -> {
        Part part = parts.getFirst().voxels() == voxels ? parts.getFirst() : parts.getLast();
        long at = voxel * channels * Float.BYTES;
        part.plan().run(0, worker, z, part.weights(), y.address() + at, skip.address() + at);
      };
    }
  }

  @Override
  public void upsample(Buffer x, UpsampleParameters p, Buffer skip, Buffer y, Grid grid) {
    TransposedConvolution.of(context, p, grid).run(x, skip, y);
  }

  @Override
  public void head(Buffer x, HeadParameters p, HeadOutput output, Buffer y, Grid grid) {
    Head.of(context, p, output, grid).run(x, y);
  }
}
