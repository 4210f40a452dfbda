package org.unetrpp.backend.cuda;

import java.util.Arrays;
import org.unetrpp.backend.AdamUpdate;
import org.unetrpp.backend.SgdUpdate;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** Launches {@code kernels/optimizer.cu}. */
final class OptimizerKernels {
  private static final String FILE = "optimizer";
  private static final int THREADS = 256;
  private static final int VALUES_PER_BLOCK = 4096;
  private static final int MOST_BLOCKS = 1024;

  private final CudaContext context;

  OptimizerKernels(CudaContext context) {
    this.context = context;
  }

  /** Waits for the sum. */
  double sumOfSquares(Buffer x) {
    long blocks = Math.clamp(Math.ceilDiv(x.elements(), VALUES_PER_BLOCK), 1, MOST_BLOCKS);
    try (var _ = context.scopes().open()) {
      Buffer partials = context.scopes().allocate(DType.FLOAT64, blocks);
      context.launch(
          FILE,
          CudaContext.entry("sum_of_squares", x),
          LaunchGeometry.blocks(blocks, THREADS),
          context.arguments(x, partials).longs(x.elements()));
      return Arrays.stream(context.doubles(partials)).sum();
    }
  }

  void sgd(Buffer values, Buffer gradients, Buffer velocity, SgdUpdate update) {
    context.launch(
        FILE,
        "sgd",
        ElementKernels.packEach(values.elements()),
        context
            .arguments(values, gradients, velocity)
            .longs(values.elements())
            .floats(
                (float) update.learningRate(),
                (float) update.momentum(),
                (float) update.weightDecay(),
                (float) update.gradientScale()));
  }

  void adamW(Buffer values, Buffer gradients, Buffer first, Buffer second, AdamUpdate update) {
    double step = update.step();
    context.launch(
        FILE,
        "adam_w",
        ElementKernels.packEach(values.elements()),
        context
            .arguments(values, gradients, first, second)
            .longs(values.elements())
            .floats(
                (float) update.learningRate(),
                (float) update.beta1(),
                (float) (1 - update.beta1()),
                (float) update.beta2(),
                (float) (1 - update.beta2()),
                (float) (1 / (1 - Math.pow(update.beta1(), step))),
                (float) (1 / (1 - Math.pow(update.beta2(), step))),
                (float) update.epsilon(),
                (float) update.weightDecay(),
                (float) update.gradientScale()));
  }
}
