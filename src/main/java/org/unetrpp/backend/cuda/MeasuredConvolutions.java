package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.driver.Cudnn.Direction;
import org.unetrpp.backend.cuda.driver.Precision;
import org.unetrpp.memory.Buffer;

/** Convolutions, each by the provider chosen for its shape. */
final class MeasuredConvolutions implements Convolutions {
  private static final long ALIGNMENT = 16; // of activations, which libraries count on

  private final ProviderChoice<Convolutions, ConvolutionWork> choice;
  private final Precision precision;

  MeasuredConvolutions(ProviderChoice<Convolutions, ConvolutionWork> choice, Precision precision) {
    this.choice = choice;
    this.precision = precision;
  }

  @Override
  public String name() {
    return "measured";
  }

  @Override
  public void forward(
      Buffer x, Buffer weight, Epilogue epilogue, Buffer y, Grid grid, Convolution shape) {
    provider(x, epilogue, y, grid, shape).forward(x, weight, epilogue, y, grid, shape);
  }

  @Override
  public boolean takesTail(
      Buffer x, Epilogue epilogue, Tail tail, Buffer y, Grid grid, Convolution shape) {
    return isAligned(tail.skip())
        && provider(x, epilogue, y, grid, shape).takesTail(x, epilogue, tail, y, grid, shape);
  }

  @Override
  public void forward(
      Buffer x,
      Buffer weight,
      Epilogue epilogue,
      Tail tail,
      Buffer y,
      Grid grid,
      Convolution shape) {
    provider(x, epilogue, y, grid, shape).forward(x, weight, epilogue, tail, y, grid, shape);
  }

  private Convolutions provider(
      Buffer x, Epilogue epilogue, Buffer y, Grid grid, Convolution shape) {
    return isAligned(epilogue.addend())
        ? provider(Direction.FORWARD, x, y, grid, shape)
        : choice.own();
  }

  private static boolean isAligned(@Nullable Buffer buffer) {
    return buffer == null || buffer.address() % ALIGNMENT == 0;
  }

  @Override
  public boolean takesPrologue(Buffer x, Buffer y, Grid grid, Convolution shape) {
    return provider(Direction.FORWARD, x, y, grid, shape).takesPrologue(x, y, grid, shape);
  }

  @Override
  public boolean forward(
      Buffer x,
      @Nullable Prologue prologue,
      Buffer weight,
      GroupStatistics statistics,
      Buffer y,
      Grid grid,
      Convolution shape) {
    return provider(Direction.FORWARD, x, y, grid, shape)
        .forward(x, prologue, weight, statistics, y, grid, shape);
  }

  /** By the provider that is chosen for what is the same: a gradient with respect to y. */
  @Override
  public boolean upsample(
      Buffer x, Buffer weight, @Nullable Buffer skip, Buffer y, Grid grid, Convolution shape) {
    Convolution transposed =
        Convolution.patches(shape.outChannels(), shape.inChannels(), shape.kernel());
    return isAligned(skip)
        && provider(Direction.BACKWARD_DATA, y, x, grid.times(shape.kernel()), transposed)
            .upsample(x, weight, skip, y, grid, shape);
  }

  @Override
  public void backwardData(Buffer dy, Buffer weight, Buffer dx, Grid grid, Convolution shape) {
    provider(Direction.BACKWARD_DATA, dx, dy, grid, shape)
        .backwardData(dy, weight, dx, grid, shape);
  }

  @Override
  public void backwardWeights(
      Buffer x, Buffer dy, Buffer dweight, @Nullable Buffer dbias, Grid grid, Convolution shape) {
    provider(Direction.BACKWARD_WEIGHTS, x, dy, grid, shape)
        .backwardWeights(x, dy, dweight, dbias, grid, shape);
  }

  private Convolutions provider(
      Direction direction, Buffer x, Buffer y, Grid grid, Convolution shape) {
    if (x.dtype() != y.dtype() || !isAligned(x) || !isAligned(y)) {
      return choice.own();
    }
    return choice.of(new ConvolutionWork(direction, x.dtype(), precision, grid, shape));
  }
}
