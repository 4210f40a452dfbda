package org.unetrpp.backend.cpu;

import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.cpu.Primitives.Epilogue;
import org.unetrpp.backend.cpu.machine.Follower;
import org.unetrpp.backend.cpu.machine.Operands;
import org.unetrpp.backend.cpu.machine.WinogradConvolution;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.HostMemory;

/** A convolution of 3x3x3 taps in machine code of our own. */
final class MachineConvolution implements PlannedConvolution, AutoCloseable {
  /** Voxels of an item that a pass over the weights must serve to be worth its while. */
  private static final long FEWEST_VOXELS = 256;

  private final CpuContext context;
  private final Convolution shape;
  private final WinogradConvolution code;
  private final Purpose purpose;
  private final WinogradConvolution.@Nullable Pass[] passes; // of each thread

  /** Layouts of packed weights depend on no more than this. */
  private record Purpose(int inChannels, int outChannels) {}

  /**
   * Assembles the code.
   *
   * @param normalizing slope of the LeakyReLU of normalized inputs; none if inputs are taken as
   *     they are
   */
  MachineConvolution(
      CpuContext context,
      Convolution shape,
      Extents extents,
      Epilogue epilogue,
      @Nullable Float normalizing) {
    this.context = context;
    this.shape = shape;
    purpose = new Purpose(shape.inChannels(), shape.outChannels());
    passes = new WinogradConvolution.Pass[context.pool().threads()];
    code =
        new WinogradConvolution(
            shape.inChannels(),
            shape.outChannels(),
            extents,
            new WinogradConvolution.Steps(
                normalizing != null,
                normalizing == null ? 1 : normalizing,
                epilogue.bias(),
                epilogue.addend(),
                epilogue.slope()));
  }

  /** Whether there is code for a shape, and it is worth it for these extents. */
  static boolean suits(Convolution shape, Extents extents) {
    return shape.equals(Convolution.same3(shape.inChannels(), shape.outChannels()))
        && WinogradConvolution.takes(shape.inChannels(), shape.outChannels())
        && extents.voxels() >= FEWEST_VOXELS;
  }

  @Override
  public int tasks(int batch) {
    return code.tasks(batch);
  }

  @Override
  public int[] followedVoxels() {
    return code.followedVoxels();
  }

  @Override
  public void run(int task, Worker worker, Operands operands, Follower follower) {
    WinogradConvolution.Pass pass = passes[worker.index()];
    if (pass == null) {
      pass = code.pass();
      passes[worker.index()] = pass;
    }
    pass.run(task, worker.machineScratch(code.scratchBytes()), operands, follower);
  }

  @Override
  public Packed pack(Buffer weight, @Nullable Buffer bias) {
    long packed =
        context
            .packs()
            .get(
                purpose,
                List.of(weight),
                code.weightBytes(),
                to -> pack(weight.address(), ones(), to));
    return new Packed(packed, bias == null ? 0 : bias.address());
  }

  @Override
  public Packed fold(Buffer weight, ChannelNorm.Batch norm) {
    List<Buffer> from = Weights.sources(weight, norm);
    long packed =
        context
            .packs()
            .get(
                purpose,
                from,
                code.weightBytes(),
                to -> pack(weight.address(), Weights.scales(norm), to));
    return new Packed(packed, Weights.foldedBias(context, from, norm));
  }

  @Override
  public void withFlipped(Buffer weight, Consumer<Packed> body) {
    long bytes = code.weightBytes();
    long packed = context.workspace().allocate(bytes);
    long flipped = context.workspace().allocate(weight.bytes());
    try {
      Weights.flip(context, shape, weight, flipped);
      pack(flipped, ones(), packed);
      body.accept(new Packed(packed, 0));
    } finally {
      context.workspace().release(flipped, weight.bytes());
      context.workspace().release(packed, bytes);
    }
  }

  /** Scales that change nothing. */
  private double[] ones() {
    double[] ones = new double[shape.outChannels()];
    Arrays.fill(ones, 1);
    return ones;
  }

  /** Packs group by group from values in the order of published checkpoints. */
  private void pack(long from, double[] scales, long to) {
    int channels = code.groupChannels();
    int values = Math.toIntExact((long) channels * shape.inChannels() * shape.kernel().voxels());
    context
        .pool()
        .run(
            code.groups(),
            (group, worker) -> {
              float[] own = worker.array(0, values);
              HostMemory.read(from + (long) group * values * Float.BYTES, own, values);
              int first = group * channels;
              double[] ownScales = Arrays.copyOfRange(scales, first, first + channels);
              code.pack(group, own, ownScales, to, worker.array(1, code.groupValues()));
            });
  }

  @Override
  public List<String> implementations() {
    return List.of("winograd");
  }

  /** Unmaps the code. */
  @Override
  public void close() {
    code.close();
  }
}
