package org.unetrpp.backend.cpu;

import java.util.Arrays;
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
import org.unetrpp.backend.cpu.Primitives.Epilogue;
import org.unetrpp.backend.cpu.SlabConvolution.Packed;
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
    SlabConvolution plan = cpu.convolution(shape, grid.extents(), Epilogue.NONE);
    Packed packed = plan.pack(p.weight(), null);
    Moments[] parts = new Moments[plan.tasks(grid.batch())];
    Values result = Values.of(y);
    context
        .pool()
        .run(
            parts.length,
            (task, worker) -> {
              run(plan, task, worker, x, packed, y);
              parts[task] = plan.outputMoments(task, worker, result);
            });
    Moments[] items = Normalizations.merged(parts, grid.batch(), channels);
    float[] gamma = Values.of(p.gamma()).toArray();
    float[] beta = Values.of(p.beta()).toArray();
    Affine[] affines = new Affine[items.length];
    Arrays.setAll(
        affines,
        item ->
            Affine.of(items[item].byGroup(p.groups()), gamma, beta, channels, ChannelNorm.EPSILON));
    cpu.normalizations().apply(y, y, affines);
  }

  private static void run(
      SlabConvolution plan, int task, Worker worker, Buffer x, Packed packed, Buffer y) {
    plan.run(
        task,
        worker,
        x.address() + plan.inputOffset(task) * Float.BYTES,
        packed,
        y.address() + plan.outputOffset(task) * Float.BYTES);
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
    SlabConvolution first = cpu.convolution(shape, grid.extents(), BIAS_LEAKY);
    SlabConvolution second = cpu.convolution(shape, grid.extents(), BIAS_ADD_LEAKY);
    Packed firstWeights = first.fold(p.weight1(), norm1);
    Packed secondWeights = second.fold(p.weight2(), norm2);
    int tasks = first.tasks(grid.batch());
    try (var _ = cpu.scopes().open()) {
      Buffer hidden = cpu.scopes().allocate(DType.FLOAT32, y.elements());
      context
          .pool()
          .run(tasks, (task, worker) -> run(first, task, worker, x, firstWeights, hidden));
      Tail tail = p.tail();
      if (tail == null || skip == null) {
        context
            .pool()
            .run(
                tasks,
                (task, worker) -> {
                  long at = second.outputOffset(task) * Float.BYTES;
                  runAdding(second, task, worker, hidden, secondWeights, x, y.address() + at);
                });
        return;
      }
      SlabConvolution last =
          cpu.convolution(
              Convolution.pointwise(p.outChannels(), p.outChannels()), grid.extents(), BIAS_ADD);
      Packed lastWeights = last.pack(tail.weight(), tail.bias());
      context
          .pool()
          .run(
              tasks,
              (task, worker) -> {
                long at = second.outputOffset(task) * Float.BYTES;
                long z = worker.scratch(second.outputElements());
                runAdding(second, task, worker, hidden, secondWeights, x, z);
                last.run(task, worker, z, lastWeights, y.address() + at, skip.address() + at);
              });
    }
  }

  private static void runAdding(
      SlabConvolution plan,
      int task,
      Worker worker,
      Buffer x,
      Packed packed,
      Buffer addend,
      long y) {
    plan.run(
        task,
        worker,
        x.address() + plan.inputOffset(task) * Float.BYTES,
        packed,
        y,
        addend.address() + plan.outputOffset(task) * Float.BYTES);
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
