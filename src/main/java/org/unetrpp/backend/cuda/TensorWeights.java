package org.unetrpp.backend.cuda;

import java.util.List;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** Weights of 3x3x3 convolutions in the order of {@code kernels/tensor_convolution.cu}. */
final class TensorWeights {
  /** Channels of x that a product sums over. */
  static final int CHUNK = 16;

  /** Channels of y of two neighboring products. */
  static final int PAIR = 16;

  private static final int TAPS = 27;
  private static final int PACK_THREADS = 256;

  private final CudaContext context;

  TensorWeights(CudaContext context) {
    this.context = context;
  }

  /**
   * An order of weights.
   *
   * @param rows channels that are summed over
   * @param columns channels of the result
   * @param pairs times 16 channels of the result that a block computes
   * @param backward whether it is the gradient that they are for
   */
  record Order(int rows, int columns, int pairs, boolean backward) {
    private long elements() {
      long padded = Math.ceilDiv(columns, PAIR * pairs) * (long) PAIR * pairs;
      return TAPS * padded * Math.ceilDiv(rows, CHUNK) * CHUNK;
    }
  }

  /** Device address of weights in an order, packed where they are not. */
  long packed(Buffer weight, Order order) {
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
        "tensor_convolution",
        "tensor_convolution_pack",
        LaunchGeometry.threadEach(order.elements(), PACK_THREADS),
        context
            .arguments(weight)
            .longs(address, order.elements())
            .ints(order.rows(), order.columns(), order.pairs())
            .ints(order.backward() ? 0 : 1, order.backward() ? 1 : 0));
  }
}
