package org.unetrpp.backend.cuda;

import java.util.List;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** Launches {@code kernels/weights.cu}. */
final class WeightKernels {
  private static final String FILE = "weights";
  private static final int TILE = 32;
  private static final int TILE_ROWS = 8;

  private final CudaContext context;

  WeightKernels(CudaContext context) {
    this.context = context;
  }

  private record Channelwise(DType dtype, int inputs, int taps) {}

  /**
   * Weights as (Cout, kD, kH, kW, Cin), packed when they have changed.
   *
   * @param weight (Cout, Cin, kD, kH, kW) of float32
   * @param dtype of the result
   */
  Buffer packed(Buffer weight, DType dtype, Convolution shape) {
    int taps = taps(shape);
    long address =
        context
            .packs()
            .get(
                new Channelwise(dtype, shape.inChannels(), taps),
                List.of(weight),
                weight.elements() * dtype.bytes(),
                destination ->
                    pack(weight, new Buffer(destination, dtype, weight.elements()), shape));
    return new Buffer(address, dtype, weight.elements());
  }

  /** Reorders (Cout, Cin, kD, kH, kW) of float32 to (Cout, kD, kH, kW, Cin) of any type. */
  void pack(Buffer weight, Buffer packed, Convolution shape) {
    context.launch(
        FILE,
        CudaContext.entry("weights_pack", packed),
        tiles(shape),
        context.arguments(weight, packed).ints(shape.inChannels(), taps(shape)));
  }

  /** Adds (Cout, kD, kH, kW, Cin) of any type to (Cout, Cin, kD, kH, kW) of float32. */
  void addUnpacked(Buffer packed, Buffer dweight, Convolution shape) {
    context.launch(
        FILE,
        CudaContext.entry("weights_add_unpacked", packed),
        tiles(shape),
        context.arguments(packed, dweight).ints(shape.inChannels(), taps(shape)));
  }

  private static int taps(Convolution shape) {
    return Math.toIntExact(shape.kernel().voxels());
  }

  private static LaunchGeometry tiles(Convolution shape) {
    long inputTiles = Math.ceilDiv(shape.inChannels(), TILE);
    long tapTiles = Math.ceilDiv(taps(shape), TILE);
    int blocks = Math.toIntExact(shape.outChannels() * inputTiles * tapTiles);
    return new LaunchGeometry(blocks, 1, 1, TILE, TILE_ROWS, 1, 0);
  }
}
