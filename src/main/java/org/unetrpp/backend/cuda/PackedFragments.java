package org.unetrpp.backend.cuda;

import java.util.List;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * Weights as matrices of bfloat16 in the order in which lanes multiply with them, made by {@code
 * tensor_patches.cu}.
 */
final class PackedFragments {
  private static final String FILE = "tensor_patches";
  private static final int THREADS = 256;
  private static final int FRAGMENT = 16; // rows and columns of one

  private final CudaContext context;

  PackedFragments(CudaContext context) {
    this.context = context;
  }

  /**
   * The matrix of weights that are published as (columns, rows, taps) or (rows, columns, taps).
   *
   * @param rows channels that are summed over
   * @param columns channels of the result
   * @param taps of the kernel
   * @param tapsAreRows whether the matrix has taps times rows rows, or else taps times columns
   *     columns; taps change slowest
   * @param columnsAreFirst whether the columns are the first axis of the published weights
   */
  record Order(int rows, int columns, int taps, boolean tapsAreRows, boolean columnsAreFirst) {
    /** Of a 1x1x1 convolution. */
    static Order pointwise(int channels) {
      return new Order(channels, channels, 1, true, true);
    }

    long elements() {
      return padded(rows, tapsAreRows) * padded(columns, !tapsAreRows);
    }

    private long padded(int channels, boolean withTaps) {
      return Math.ceilDiv((withTaps ? taps : 1L) * channels, FRAGMENT) * FRAGMENT;
    }
  }

  /** Device address of the packed weights. */
  long get(Buffer weight, Order order) {
    return context
        .packs()
        .get(
            order,
            List.of(weight),
            order.elements() * DType.BFLOAT16.bytes(),
            address -> pack(weight, order, address));
  }

  private void pack(Buffer weight, Order order, long address) {
    context.launch(
        FILE,
        "tensor_patches_pack",
        LaunchGeometry.threadEach(order.elements(), THREADS),
        context
            .arguments(weight)
            .longs(address, order.elements())
            .ints(order.rows(), order.columns(), order.taps())
            .ints(order.tapsAreRows() ? 1 : 0, order.columnsAreFirst() ? 1 : 0));
  }
}
