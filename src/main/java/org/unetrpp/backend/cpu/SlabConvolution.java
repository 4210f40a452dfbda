package org.unetrpp.backend.cpu;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.cpu.OneDnn.Descriptor;
import org.unetrpp.backend.cpu.Primitives.Epilogue;
import org.unetrpp.backend.cpu.Primitives.SlabKey;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/**
 * A convolution cut along the depth into slabs of few planes, each one task. In channels-last
 * activations a slab and its halo are contiguous, and the result of a slab is still in the cache
 * for what follows it in the same task. The cut depends on the shape alone.
 */
final class SlabConvolution {
  /** Fewer voxels than this leave oneDNN's matrix kernels half empty. */
  private static final int LEAST_VOXELS = 32;

  private static final int WEIGHTS = 1;

  private final CpuContext context;
  private final Convolution shape;
  private final Epilogue epilogue;
  private final List<Slab> slabs = new ArrayList<>();
  private final SlabKey middle;
  private final long inputPlane;
  private final long outputPlane;
  private final Extents input;
  private final Extents output;

  /** Planes of one task. */
  private record Slab(int firstInput, int firstOutput, int planes, Primitive primitive) {}

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
    int planes = planesOfSlab(output);
    int count = Math.ceilDiv(output.depth(), planes);
    middle = key(count / 2 * planes, planes);
    for (int first = 0; first < output.depth(); first += planes) {
      SlabKey key = key(first, planes);
      Descriptor weights = key.equals(middle) ? null : weights();
      slabs.add(
          new Slab(
              firstInput(first),
              first,
              Math.min(planes, output.depth() - first),
              context.primitives().convolution(key, weights)));
    }
  }

  private static int planesOfSlab(Extents output) {
    int plane = output.height() * output.width();
    return Math.min(output.depth(), Math.ceilDiv(LEAST_VOXELS, plane));
  }

  private int firstInput(int firstOutput) {
    return Math.max(0, firstOutput * shape.stride().depth() - shape.padding().depth());
  }

  private SlabKey key(int firstOutput, int planes) {
    int stride = shape.stride().depth();
    int start = firstOutput * stride - shape.padding().depth();
    int last = Math.min(firstOutput + planes, output.depth()) - 1;
    int end = last * stride - shape.padding().depth() + shape.kernel().depth();
    int first = Math.max(0, start);
    int behind = Math.min(input.depth(), end);
    return new SlabKey(
        shape,
        new Extents(behind - first, input.height(), input.width()),
        first - start,
        end - behind,
        epilogue);
  }

  /** The layout that oneDNN chose for the weights of the middle slab; all others take it. */
  private Descriptor weights() {
    return context.primitives().convolution(middle, null).layout(WEIGHTS);
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
        + slab(task).firstOutput() * outputPlane;
  }

  /** Values that the task writes. */
  long outputElements(int task) {
    return slab(task).planes() * outputPlane;
  }

  /** Moments of what the task has written to {@code y}. */
  Moments outputMoments(int task, Worker worker, Values y) {
    int channels = shape.outChannels();
    return Moments.ofRows(y, outputOffset(task), outputElements(task) / channels, channels, worker);
  }

  private Slab slab(int task) {
    return slabs.get(task % slabs.size());
  }

  /** The library's names for the code of each slab. */
  List<String> implementations() {
    return slabs.stream().map(slab -> slab.primitive().implementation()).distinct().toList();
  }

  /**
   * Weights for {@link #run}.
   *
   * @param weights packed
   * @param bias address, or 0 for none
   */
  record Packed(long weights, long bias) {}

  /**
   * Does one task without addend.
   *
   * @param x address of the slab's input, halo included
   * @param y address of the slab's output
   */
  void run(int task, Worker worker, long x, Packed packed, long y) {
    Primitive primitive = slab(task).primitive();
    if (epilogue.bias()) {
      primitive.run(worker, x, packed.weights(), y, packed.bias());
    } else {
      primitive.run(worker, x, packed.weights(), y);
    }
  }

  /**
   * Does one task with a bias and an addend.
   *
   * @param addend address of what is added to the slab
   */
  void run(int task, Worker worker, long x, Packed packed, long y, long addend) {
    slab(task).primitive().run(worker, x, packed.weights(), y, packed.bias(), addend);
  }

  /** Packs weights as they are. */
  Packed pack(Buffer weight, @Nullable Buffer bias) {
    long packed =
        context
            .packs()
            .get(
                new Purpose(middle),
                List.of(weight),
                packedElements(),
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
                packedElements(),
                to -> reorderScaled(weight, scales(norm), to));
    long bias =
        context
            .packs()
            .get(
                "bias of a folded batch normalization",
                from,
                shape.outChannels(),
                to ->
                    Values.at(to, shape.outChannels()).write(0, shifts(norm), shape.outChannels()));
    return new Packed(packed, bias);
  }

  private record Purpose(SlabKey weightsOf) {}

  private long packedElements() {
    return Math.ceilDiv(weights().bytes(), Float.BYTES);
  }

  private void reorder(long from, long to) {
    Primitive reorder = context.primitives().weightReorder(middle, weights());
    context.pool().run(1, (_, worker) -> reorder.run(worker, from, to));
  }

  private void reorderScaled(Buffer weight, double[] scales, long to) {
    float[] values = Values.of(weight).toArray();
    int perChannel = values.length / scales.length;
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (values[i] * scales[i / perChannel]);
    }
    long scaled = context.workspace().allocate(weight.bytes());
    try {
      Values.at(scaled, values.length).write(0, values, values.length);
      reorder(scaled, to);
    } finally {
      context.workspace().release(scaled, weight.bytes());
    }
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
