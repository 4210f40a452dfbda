package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.memory.Buffer;

/**
 * Convolutions by one provider. Activations are (B, D, H, W, C), weights (Cout, Cin, kD, kH, kW) in
 * float32.
 */
interface Convolutions extends Provider {
  /** As {@link org.unetrpp.backend.Backend#convolution}, with what follows it. */
  void forward(Buffer x, Buffer weight, Epilogue epilogue, Buffer y, Grid grid, Convolution shape);

  /** Whether such a convolution can have such a tail. */
  default boolean takesTail(
      Buffer x, Epilogue epilogue, Tail tail, Buffer y, Grid grid, Convolution shape) {
    return false;
  }

  /**
   * As {@link org.unetrpp.backend.Backend#convolution}, with what follows it and a tail behind
   * that; only where {@link #takesTail} has said so.
   */
  default void forward(
      Buffer x,
      Buffer weight,
      Epilogue epilogue,
      Tail tail,
      Buffer y,
      Grid grid,
      Convolution shape) {
    throw new IllegalArgumentException(name() + " has no tails");
  }

  /** Whether such a convolution can have a prologue. */
  default boolean takesPrologue(Buffer x, Buffer y, Grid grid, Convolution shape) {
    return false;
  }

  /**
   * As {@link org.unetrpp.backend.Backend#convolution}, with the statistics of {@code y} where they
   * can be taken on the way.
   *
   * @param prologue only where {@link #takesPrologue} has said so, or none
   * @return whether the statistics were taken
   */
  default boolean forward(
      Buffer x,
      @Nullable Prologue prologue,
      Buffer weight,
      GroupStatistics statistics,
      Buffer y,
      Grid grid,
      Convolution shape) {
    if (prologue != null) {
      throw new IllegalArgumentException(name() + " has no prologues");
    }
    forward(x, weight, Epilogue.NONE, y, grid, shape);
    return false;
  }

  /**
   * As {@link org.unetrpp.backend.Backend#transposedConvolution}, with a skip added.
   *
   * @param skip as {@code y}, which it may be, or none
   * @return whether it was computed
   */
  default boolean upsample(
      Buffer x, Buffer weight, @Nullable Buffer skip, Buffer y, Grid grid, Convolution shape) {
    return false;
  }

  /** As {@link org.unetrpp.backend.TrainingPrimitives#convolutionBackwardData}. */
  void backwardData(Buffer dy, Buffer weight, Buffer dx, Grid grid, Convolution shape);

  /** As {@link org.unetrpp.backend.TrainingPrimitives#convolutionBackwardWeights}. */
  void backwardWeights(
      Buffer x, Buffer dy, Buffer dweight, @Nullable Buffer dbias, Grid grid, Convolution shape);
}
