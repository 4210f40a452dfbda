package org.unetrpp.backend.cuda;

import java.util.List;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;

/** Weights in the order that the kernels of convolutions read, made by {@code convolution.cu}. */
final class PackedWeights {
  private static final String FILE = "convolution";
  private static final int THREADS = 256;

  private final CudaContext context;

  PackedWeights(CudaContext context) {
    this.context = context;
  }

  /**
   * The order (taps / run, rows, padded) of weights that are published as (columns, rows, taps) or
   * (rows, columns, taps).
   *
   * @param rows channels that are summed over
   * @param columns channels of the result
   * @param taps of the kernel
   * @param run neighboring taps whose columns stand side by side in one row
   * @param padded length of a row: run columns, then zeros
   * @param columnsAreFirst whether the columns are the first axis of the published weights
   * @param flipped whether the taps come in reverse
   */
  record Order(
      int rows,
      int columns,
      int taps,
      int run,
      int padded,
      boolean columnsAreFirst,
      boolean flipped) {
    long elements() {
      return (long) (taps / run) * rows * padded;
    }
  }

  /** Device address of the packed weights, in float32. */
  long get(Buffer weight, Order order) {
    return context
        .packs()
        .get(
            order,
            List.of(weight),
            order.elements() * Float.BYTES,
            address -> pack(weight, order, address));
  }

  private void pack(Buffer weight, Order order, long address) {
    context.launch(
        FILE,
        "convolution_pack",
        LaunchGeometry.threadEach(order.elements(), THREADS),
        context
            .arguments(weight)
            .longs(address)
            .ints(order.rows(), order.columns(), order.taps(), order.run(), order.padded())
            .ints(order.columnsAreFirst() ? 1 : 0, order.flipped() ? 1 : 0));
  }
}
