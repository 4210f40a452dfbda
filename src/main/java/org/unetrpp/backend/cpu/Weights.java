package org.unetrpp.backend.cpu;

import java.util.List;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Convolution;
import org.unetrpp.memory.Buffer;

/** What is done to the weights of convolutions, whoever computes them, before they are packed. */
final class Weights {
  /** Channels flipped in one task, so that what it reads comes in long runs. */
  private static final int FLIPPED_TOGETHER = 8;

  private Weights() {}

  /** What folded weights depend on. */
  static List<Buffer> sources(Buffer weight, ChannelNorm.Batch norm) {
    return List.of(weight, norm.gamma(), norm.beta(), norm.mean(), norm.variance());
  }

  /** The bias that stands for a batch normalization whose scales are in the weights. */
  static long foldedBias(CpuContext context, List<Buffer> sources, ChannelNorm.Batch norm) {
    float[] shifts = shifts(norm);
    return context
        .packs()
        .get(
            "bias of a folded batch normalization",
            sources,
            (long) shifts.length * Float.BYTES,
            to -> Values.at(to, shifts.length).write(0, shifts, shifts.length));
  }

  /** (Cin, Cout, taps) to (Cout, Cin, taps from the last to the first). */
  static void flip(CpuContext context, Convolution shape, Buffer weight, long to) {
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

  /** Writes weights with those of each output channel multiplied by its scale, in double. */
  static void scale(CpuContext context, Buffer weight, double[] scales, long to) {
    int perChannel = Math.toIntExact(weight.elements() / scales.length);
    Values from = Values.of(weight);
    Values scaled = Values.at(to, weight.elements());
    context
        .pool()
        .run(
            scales.length,
            (channel, worker) -> {
              float[] values = worker.array(0, perChannel);
              long first = (long) channel * perChannel;
              from.read(first, values, perChannel);
              for (int i = 0; i < perChannel; i++) {
                values[i] = (float) (values[i] * scales[channel]);
              }
              scaled.write(first, values, perChannel);
            });
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
