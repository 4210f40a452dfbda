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
final class SlabConvolution {
  /** Longest sum that is taken in one go where the kernel has several planes. */
  private static final int LONGEST_SUM = 512;

  /** Channels flipped in one task, so that what it reads comes in long runs. */
  private static final int FLIPPED_TOGETHER = 8;

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

  /** Tasks of a batch, item by item. */
  int tasks(int batch) {
    return batch * slabs.size();
  }

  /** Element of the input at which the task's slab, with its halo, starts. */
  long inputOffset(int task) {
    return (long) (task / slabs.size()) * input.depth() * inputPlane
        + slab(task).firstInput() * inputPlane;
  }

  /** Element of the output at which the task's slab starts. */
  long outputOffset(int task) {
    return (long) (task / slabs.size()) * output.depth() * outputPlane
        + task % slabs.size() * outputPlane;
  }

  /** Values that a task writes. */
  long outputElements() {
    return outputPlane;
  }

  /** Moments of what the task has written to {@code y}. */
  Moments outputMoments(int task, Worker worker, Values y) {
    int channels = shape.outChannels();
    return Moments.ofRows(y, outputOffset(task), outputPlane / channels, channels, worker);
  }

  private Slab slab(int task) {
    return slabs.get(task % slabs.size());
  }

  /** The library's names for the code of each slab. */
  List<String> implementations() {
    return slabs.stream()
        .flatMap(slab -> slab.steps().stream())
        .map(step -> step.primitive().implementation())
        .distinct()
        .toList();
  }

  /**
   * Weights for {@link #run}.
   *
   * @param weights address of the parts of the kernel, packed, one after the other
   * @param bias address, or 0 for none
   */
  record Packed(long weights, long bias) {}

  /** Does all tasks of a batch, without addend. */
  void runAll(int batch, Buffer x, Packed packed, Buffer y) {
    context
        .pool()
        .run(
            tasks(batch),
            (task, worker) ->
                run(
                    task,
                    worker,
                    x.address() + inputOffset(task) * Float.BYTES,
                    packed,
                    y.address() + outputOffset(task) * Float.BYTES));
  }

  /**
   * Does one task without addend.
   *
   * @param x address of the slab's input, halo included
   * @param y address of the slab's output
   */
  void run(int task, Worker worker, long x, Packed packed, long y) {
    run(task, worker, x, packed, y, 0);
  }

  /**
   * Does one task.
   *
   * @param x address of the slab's input, halo included
   * @param y address of the slab's output
   * @param addend address of what is added to the slab, if the epilogue has that
   */
  void run(int task, Worker worker, long x, Packed packed, long y, long addend) {
    Slab slab = slab(task);
    for (int i = 0; i < slab.steps().size(); i++) {
      Step step = slab.steps().get(i);
      long from = x + (step.plane() - slab.firstInput()) * inputPlane * Float.BYTES;
      long kernel = packed.weights() + step.part() * partElements * Float.BYTES;
      if (i > 0) {
        step.primitive().run(worker, from, kernel, y, y); // adds to what the steps before wrote
      } else if (epilogue.bias()) {
        step.primitive().run(worker, from, kernel, y, packed.bias(), addend);
      } else {
        step.primitive().run(worker, from, kernel, y, addend);
      }
    }
  }

  /** Packs weights as they are. */
  Packed pack(Buffer weight, @Nullable Buffer bias) {
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

  /** Packs weights and bias with a batch normalization that follows folded in, in double. */
  Packed fold(Buffer weight, ChannelNorm.Batch norm) {
    List<Buffer> from = List.of(weight, norm.gamma(), norm.beta(), norm.mean(), norm.variance());
    long packed =
        context
            .packs()
            .get(
                new Purpose(middle),
                from,
                parts() * partElements * Float.BYTES,
                to -> reorderScaled(weight, scales(norm), to));
    long bias =
        context
            .packs()
            .get(
                "bias of a folded batch normalization",
                from,
                (long) shape.outChannels() * Float.BYTES,
                to ->
                    Values.at(to, shape.outChannels()).write(0, shifts(norm), shape.outChannels()));
    return new Packed(packed, bias);
  }

  /**
   * Runs {@code body} with the weights of the convolution that goes the other way: channels
   * exchanged, kernel turned around. They are packed for this once, since in training they change
   * before they are needed again.
   *
   * @param weight (Cin, Cout, kD, kH, kW) in this one's terms
   */
  void withFlipped(Buffer weight, Consumer<Packed> body) {
    long bytes = parts() * partElements * Float.BYTES;
    long packed = context.workspace().allocate(bytes);
    try {
      withScratch(weight, flipped -> flip(weight, flipped), packed);
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

  private void reorderScaled(Buffer weight, double[] scales, long to) {
    int values = Math.toIntExact(weight.elements());
    withScratch(
        weight, scratch -> Values.at(scratch, values).write(0, scaled(weight, scales), values), to);
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

  /** (Cin, Cout, taps) to (Cout, Cin, taps from the last to the first). */
  private void flip(Buffer weight, long to) {
    int taps = Math.toIntExact(shape.kernel().voxels());
    int in = shape.inChannels();
    int out = shape.outChannels();
    int line = in * taps;
    Values from = Values.of(weight);
    Values flipped = Values.at(to, weight.elements());
    context.forEachBlock(
        out,
        FLIPPED_TOGETHER,
        (first, count, worker) -> {
          float[] run = worker.array(0, count * taps);
          float[] lines = worker.array(1, count * line);
          for (int input = 0; input < in; input++) {
            from.read(((long) input * out + first) * taps, run, count * taps);
            for (int i = 0; i < count; i++) {
              int last = i * line + input * taps + taps - 1;
              for (int tap = 0; tap < taps; tap++) {
                lines[last - tap] = run[i * taps + tap];
              }
            }
          }
          flipped.write((long) first * line, lines, count * line);
        });
  }

  private static float[] scaled(Buffer weight, double[] scales) {
    float[] values = Values.of(weight).toArray();
    int perChannel = values.length / scales.length;
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (values[i] * scales[i / perChannel]);
    }
    return values;
  }

  /** {@code gamma / sqrt(variance + epsilon)}. */
  static double[] scales(ChannelNorm.Batch norm) {
    double[] gamma = Values.of(norm.gamma()).toDoubles();
    double[] variance = Values.of(norm.variance()).toDoubles();
    double[] scales = new double[gamma.length];
    for (int channel = 0; channel < scales.length; channel++) {
      scales[channel] = gamma[channel] / Math.sqrt(variance[channel] + ChannelNorm.EPSILON);
    }
    return scales;
  }

  private static float[] shifts(ChannelNorm.Batch norm) {
    double[] scales = scales(norm);
    double[] mean = Values.of(norm.mean()).toDoubles();
    double[] beta = Values.of(norm.beta()).toDoubles();
    float[] shifts = new float[scales.length];
    for (int channel = 0; channel < shifts.length; channel++) {
      shifts[channel] = (float) (beta[channel] - mean[channel] * scales[channel]);
    }
    return shifts;
  }
}
