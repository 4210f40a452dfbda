package org.unetrpp.backend.cuda;

import java.util.Locale;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.driver.Cudnn.Direction;
import org.unetrpp.backend.cuda.driver.Precision;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * One direction of a convolution.
 *
 * @param dtype of the activations
 * @param precision of products of float32
 * @param grid of x
 */
record ConvolutionWork(
    Direction direction, DType dtype, Precision precision, Grid grid, Convolution shape)
    implements Work<Convolutions> {
  // A sum of n products of random signs, added one after the other, has an error that grows with
  // the root of n.
  private static final double FLOAT_TOLERANCE = 0x1p-18;
  private static final double FLOAT_TOLERANCE_OF_ROOT = 0x1p-23;
  private static final double TENSOR_FLOAT_TOLERANCE = 2e-3; // 11 bits of each factor
  private static final double BFLOAT_TOLERANCE = 4e-3; // 8 bits of the result

  /** Elements of x. */
  long inputElements() {
    return grid.rows() * shape.inChannels();
  }

  /** The grid of y. */
  Grid outputGrid() {
    return new Grid(grid.batch(), shape.output(grid.extents()));
  }

  /** Elements of y. */
  long outputElements() {
    return outputGrid().rows() * shape.outChannels();
  }

  /** Elements of the weights. */
  long weightElements() {
    return shape.kernel().voxels() * shape.inChannels() * shape.outChannels();
  }

  @Override
  public String key() {
    return "convolution %s %s %dx%s, %d to %d channels, kernel %s, stride %s, padding %s"
        .formatted(
            direction.name().toLowerCase(Locale.ROOT).replace('_', ' '),
            dtype.suffix(),
            grid.batch(),
            grid.extents(),
            shape.inChannels(),
            shape.outChannels(),
            shape.kernel(),
            shape.stride(),
            shape.padding());
  }

  @Override
  public double tolerance() {
    return tolerance(dtype, precision, terms());
  }

  /** The tolerance of sums of {@code terms} products of random signs. */
  static double tolerance(DType dtype, Precision precision, long terms) {
    if (dtype == DType.BFLOAT16) {
      return BFLOAT_TOLERANCE;
    }
    return switch (precision) {
      case FLOAT32 -> FLOAT_TOLERANCE + FLOAT_TOLERANCE_OF_ROOT * Math.sqrt((double) terms);
      case TENSOR_FLOAT32 -> TENSOR_FLOAT_TOLERANCE;
    };
  }

  private long terms() {
    return switch (direction) {
      case FORWARD -> shape.kernel().voxels() * shape.inChannels();
      case BACKWARD_DATA -> shape.kernel().voxels() * shape.outChannels();
      case BACKWARD_WEIGHTS -> outputGrid().rows();
    };
  }

  @Override
  public Trial<Convolutions> trial(RandomValues random) {
    return switch (direction) {
      case FORWARD -> {
        Buffer x = random.allocate(dtype, inputElements(), 1);
        Buffer weight = random.allocate(DType.FLOAT32, weightElements(), 2);
        yield new ConvolutionTrial(random, dtype, outputElements()) {
          @Override
          public void run(Convolutions provider, Buffer y) {
            provider.forward(x, weight, Epilogue.NONE, y, grid, shape);
          }
        };
      }
      case BACKWARD_DATA -> {
        Buffer dy = random.allocate(dtype, outputElements(), 1);
        Buffer weight = random.allocate(DType.FLOAT32, weightElements(), 2);
        yield new ConvolutionTrial(random, dtype, inputElements()) {
          @Override
          public void run(Convolutions provider, Buffer dx) {
            provider.backwardData(dy, weight, dx, grid, shape);
          }
        };
      }
      case BACKWARD_WEIGHTS -> {
        Buffer x = random.allocate(dtype, inputElements(), 1);
        Buffer dy = random.allocate(dtype, outputElements(), 2);
        yield new ConvolutionTrial(random, DType.FLOAT32, weightElements()) {
          @Override
          public void run(Convolutions provider, Buffer dweight) {
            provider.backwardWeights(x, dy, dweight, null, grid, shape);
          }
        };
      }
    };
  }

  private abstract static class ConvolutionTrial implements Trial<Convolutions> {
    private final RandomValues random;
    private final DType dtype;
    private final long elements;

    ConvolutionTrial(RandomValues random, DType dtype, long elements) {
      this.random = random;
      this.dtype = dtype;
      this.elements = elements;
    }

    @Override
    public Buffer output() {
      return random.allocate(dtype, elements, 3);
    }
  }
}
