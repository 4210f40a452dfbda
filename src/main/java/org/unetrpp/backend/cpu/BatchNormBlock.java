package org.unetrpp.backend.cpu;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.ResidualBlockParameters.Tail;
import org.unetrpp.backend.cpu.PlannedConvolution.Packed;
import org.unetrpp.backend.cpu.Primitives.Epilogue;
import org.unetrpp.backend.cpu.machine.Follower;
import org.unetrpp.backend.cpu.machine.Operands;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/**
 * A residual block with batch normalizations of given statistics, which are part of the weights,
 * planned for its buffers. The tail works on the voxels just written.
 */
final class BatchNormBlock implements Runnable {
  private static final float SLOPE = (float) ResidualBlockParameters.SLOPE;
  private static final Epilogue BIAS_LEAKY = new Epilogue(true, false, SLOPE);
  private static final Epilogue BIAS_ADD = new Epilogue(true, true, 1);
  private static final Epilogue BIAS_ADD_LEAKY = new Epilogue(true, true, SLOPE);

  private final Runnable first;
  private final Runnable second;

  /**
   * Plans a block.
   *
   * @param skip what the tail adds to; none without a tail
   * @param hidden memory of the size of {@code y}
   */
  BatchNormBlock(
      CpuBackend cpu,
      Buffer x,
      ResidualBlockParameters p,
      ChannelNorm.Batch norm1,
      ChannelNorm.Batch norm2,
      @Nullable Buffer skip,
      Buffer hidden,
      Buffer y,
      Grid grid) {
    ThreadPool pool = cpu.context().pool();
    int batch = grid.batch();
    Convolution shape = Convolution.same3(p.inChannels(), p.outChannels());
    PlannedConvolution convolution1 = cpu.convolution(shape, grid.extents(), BIAS_LEAKY);
    Packed weight1 = convolution1.fold(p.weight1(), norm1);
    first =
        convolution1.pass(
            pool, batch, PlannedConvolution.operands(x, weight1, hidden), _ -> Follower.NONE);
    PlannedConvolution convolution2 = cpu.convolution(shape, grid.extents(), BIAS_ADD_LEAKY);
    Packed weight2 = convolution2.fold(p.weight2(), norm2);
    Tail tail = p.tail();
    if (tail == null || skip == null) {
      Operands operands = PlannedConvolution.adding(hidden, weight2, x, y);
      second = convolution2.pass(pool, batch, operands, _ -> Follower.NONE);
    } else {
      TailConvolution last = new TailConvolution(cpu, convolution2.followedVoxels(), tail, skip, y);
      Operands operands = PlannedConvolution.adding(hidden, weight2, x, null);
      second = convolution2.pass(pool, batch, operands, last::following);
    }
  }

  @Override
  public void run() {
    first.run();
    second.run();
  }

  /** {@code y = skip + W z + b} of some voxels at a time. */
  private static final class TailConvolution {
    private final List<Part> parts = new ArrayList<>();
    private final Buffer skip;
    private final Buffer y;
    private final int channels;

    private record Part(int voxels, SlabConvolution plan, Packed packed) {}

    TailConvolution(CpuBackend cpu, int[] voxels, Tail tail, Buffer skip, Buffer y) {
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
        Packed packed = part.packed();
        part.plan()
            .run(
                0,
                worker,
                z,
                packed.weights(),
                packed.bias(),
                y.address() + at,
                skip.address() + at);
      };
    }
  }
}
