package org.unetrpp.backend.cpu;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.cpu.OneDnn.Descriptor;
import org.unetrpp.backend.cpu.Primitives.Epilogue;
import org.unetrpp.backend.cpu.Primitives.SlabKey;
import org.unetrpp.backend.cpu.machine.Follower;
import org.unetrpp.backend.cpu.machine.Operands;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/**
 * A convolution cut along the depth into slabs of one plane of the result, each one task. In
 * channels-last activations a slab and its halo are contiguous, and the result of a slab is still
 * in the cache for what follows it in the same task. The cut depends on the shape alone, so all
 * convolutions with a result of the same extents have the same tasks.
 *
 * <p>Where a result would be one long float sum, each plane of the kernel is summed on its own and
 * added to the others: rounding errors grow with the length of the sums.
 */
final class SlabConvolution implements PlannedConvolution {
  /** Longest sum that is taken in one go where the kernel has several planes. */
  private static final int LONGEST_SUM = 512;

  private static final int WEIGHTS = 1;

  private final CpuContext context;
  private final Convolution shape;
  private final Epilogue epilogue;
  private final int kernelPlanes;
  private final List<Slab> slabs = new ArrayList<>();
  private final SlabKey middle;

  /** The layout that oneDNN chose for the weights of the middle slab; all others take it. */
  private final Descriptor weights;

  /** Values of the packed weights of one part of the kernel. */
  private final long partElements;

  private final long inputPlane;
  private final long outputPlane;
  private final Extents input;
  private final Extents output;

  /** The first plane that a task reads, and the steps that sum up the plane it writes. */
  private record Slab(int firstInput, List<Step> steps) {}

  /**
   * The part of the kernel from one of its planes on, over the slab.
   *
   * @param part which part of the kernel
   * @param plane of the input at which the step starts to read
   */
  private record Step(int part, int plane, Primitive primitive) {}

  /**
   * Plans a convolution.
   *
   * @param input extents of what it reads
   */
  SlabConvolution(CpuContext context, Convolution shape, Extents input, Epilogue epilogue) {
    this.context = context;
    this.shape = shape;
    this.epilogue = epilogue;
    this.input = input;
    output = shape.output(input);
    inputPlane = (long) input.height() * input.width() * shape.inChannels();
    outputPlane = (long) output.height() * output.width() * shape.outChannels();
    Extents kernel = shape.kernel();
    boolean split =
        shape.stride().depth() == 1 && kernel.voxels() * shape.inChannels() > LONGEST_SUM;
    kernelPlanes = split ? 1 : kernel.depth();
    middle = key(output.depth() / 2, parts() / 2, epilogue);
    weights = context.primitives().convolution(middle, null).layout(WEIGHTS);
    partElements = Math.ceilDiv(weights.bytes(), Float.BYTES);
    for (int plane = 0; plane < output.depth(); plane++) {
      slabs.add(planSlab(plane));
    }
  }

  private Slab planSlab(int plane) {
    List<Integer> reading = new ArrayList<>(); // the parts that do not lie in the padding alone
    for (int part = 0; part < parts(); part++) {
      if (firstPlane(plane, part) < endPlane(plane, part)) {
        reading.add(part);
      }
    }
    List<Step> steps = new ArrayList<>();
    for (int part : reading) {
      boolean first = part == reading.getFirst();
      boolean last = part == reading.getLast();
      Epilogue ownEpilogue =
          new Epilogue(
              first && epilogue.bias(), !first || epilogue.addend(), last ? epilogue.slope() : 1);
      SlabKey key = key(plane, part, ownEpilogue);
      steps.add(
          new Step(part, firstPlane(plane, part), context.primitives().convolution(key, weights)));
    }
    return new Slab(steps.getFirst().plane(), List.copyOf(steps));
  }

  /** Parts of the kernel that are summed on their own. */
  private int parts() {
    return shape.kernel().depth() / kernelPlanes;
  }

  /** The first plane, in the padding too, that a part of the kernel reads for an output. */
  private int start(int outputPlane, int part) {
    return outputPlane * shape.stride().depth() - shape.padding().depth() + part * kernelPlanes;
  }

  private int firstPlane(int outputPlane, int part) {
    return Math.max(0, start(outputPlane, part));
  }

  private int endPlane(int outputPlane, int part) {
    return Math.min(input.depth(), start(outputPlane, part) + kernelPlanes);
  }

  private SlabKey key(int outputPlane, int part, Epilogue ownEpilogue) {
    int start = start(outputPlane, part);
    int first = firstPlane(outputPlane, part);
    int end = endPlane(outputPlane, part);
    Extents kernel = new Extents(kernelPlanes, shape.kernel().height(), shape.kernel().width());
    return new SlabKey(
        new Convolution(
            shape.inChannels(), shape.outChannels(), kernel, shape.stride(), shape.padding()),
        new Extents(end - first, input.height(), input.width()),
        first - start,
        start + kernelPlanes - end,
        ownEpilogue);
  }

  @Override
  public int tasks(int batch) {
    return batch * slabs.size();
  }

  /** Element of the input at which the task's slab, with its halo, starts. */
  private long inputOffset(int task) {
    return (long) (task / slabs.size()) * input.depth() * inputPlane
        + slab(task).firstInput() * inputPlane;
  }

  /** Element of the output at which the task's slab starts. */
  private long outputOffset(int task) {
    return (long) (task / slabs.size()) * output.depth() * outputPlane
        + task % slabs.size() * outputPlane;
  }

  private Slab slab(int task) {
    return slabs.get(task % slabs.size());
  }

  /** The library's names for the code of each slab. */
  @Override
  public List<String> implementations() {
    return slabs.stream()
        .flatMap(slab -> slab.steps().stream())
        .map(step -> step.primitive().implementation())
        .distinct()
        .toList();
  }

  @Override
  public int[] followedVoxels() {
    return new int[] {Math.toIntExact(outputPlane / shape.outChannels())};
  }

  @Override
  public void run(int task, Worker worker, Operands operands, Follower follower) {
    long x = operands.x() + inputOffset(task) * Float.BYTES;
    long at = outputOffset(task);
    long y = operands.y();
    long to = y == 0 ? worker.results(outputPlane) : y + at * Float.BYTES;
    long addend = operands.addend();
    long added = addend == 0 ? 0 : addend + at * Float.BYTES;
    run(task, worker, x, operands.weights(), operands.bias(), to, added);
    int channels = shape.outChannels();
    follower.accept(to, at / channels, Math.toIntExact(outputPlane / channels));
  }

  /**
   * Does one task.
   *
   * @param x address of the slab's input, halo included
   * @param packed address of the weights
   * @param bias its address, if the epilogue has that
   * @param y address of the slab's output
   * @param addend address of what is added to the slab, if the epilogue has that
   */
  void run(int task, Worker worker, long x, long packed, long bias, long y, long addend) {
    Slab slab = slab(task);
    for (int i = 0; i < slab.steps().size(); i++) {
      Step step = slab.steps().get(i);
      long from = x + (step.plane() - slab.firstInput()) * inputPlane * Float.BYTES;
      long kernel = packed + step.part() * partElements * Float.BYTES;
      if (i > 0) {
        step.primitive().run(worker, from, kernel, y, y); // adds to what the steps before wrote
      } else if (epilogue.bias()) {
        step.primitive().run(worker, from, kernel, y, bias, addend);
      } else {
        step.primitive().run(worker, from, kernel, y, addend);
      }
    }
  }

  @Override
  public Packed pack(Buffer weight, @Nullable Buffer bias) {
    long packed =
        context
            .packs()
            .get(
                new Purpose(middle),
                List.of(weight),
                parts() * partElements * Float.BYTES,
                to -> reorder(weight.address(), to));
    return new Packed(packed, bias == null ? 0 : bias.address());
  }

  @Override
  public Packed fold(Buffer weight, ChannelNorm.Batch norm) {
    List<Buffer> from = Weights.sources(weight, norm);
    long packed =
        context
            .packs()
            .get(
                new Purpose(middle),
                from,
                parts() * partElements * Float.BYTES,
                to ->
                    withScratch(
                        weight,
                        scaled -> Weights.scale(context, weight, Weights.scales(norm), scaled),
                        to));
    return new Packed(packed, Weights.foldedBias(context, from, norm));
  }

  @Override
  public void withFlipped(Buffer weight, Consumer<Packed> body) {
    long bytes = parts() * partElements * Float.BYTES;
    long packed = context.workspace().allocate(bytes);
    try {
      withScratch(weight, flipped -> Weights.flip(context, shape, weight, flipped), packed);
      body.accept(new Packed(packed, 0));
    } finally {
      context.workspace().release(packed, bytes);
    }
  }

  private record Purpose(SlabKey weightsOf) {}

  /** Reorders what {@code writer} makes of the weights. */
  private void withScratch(Buffer weight, LongConsumer writer, long to) {
    long scratch = context.workspace().allocate(weight.bytes());
    try {
      writer.accept(scratch);
      reorder(scratch, to);
    } finally {
      context.workspace().release(scratch, weight.bytes());
    }
  }

  /** Packs part by part from values in the order of published checkpoints. */
  private void reorder(long from, long to) {
    int taps = Math.toIntExact(shape.kernel().voxels());
    int ownTaps = taps / parts();
    Primitive reorder = context.primitives().weightReorder(middle, taps, weights);
    context
        .pool()
        .run(
            parts(),
            (part, worker) ->
                reorder.run(
                    worker,
                    from + (long) part * ownTaps * Float.BYTES,
                    to + part * partElements * Float.BYTES));
  }
}
