package org.unetrpp.backend.cpu;

import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.cpu.OneDnn.Argument;
import org.unetrpp.backend.cpu.OneDnn.Descriptor;
import org.unetrpp.backend.cpu.OneDnn.PrimitiveDescriptor;
import org.unetrpp.backend.cpu.OneDnn.Window;
import org.unetrpp.grid.Extents;

/** Makes the primitives that compute gradients; {@link Primitives} keeps them. */
final class BackwardPrimitives {
  private final OneDnn oneDnn;
  private final Primitives primitives;

  BackwardPrimitives(CpuContext context) {
    oneDnn = context.oneDnn();
    primitives = context.primitives();
  }

  /**
   * A convolution of some planes of some items.
   *
   * @param shape kernel, stride, channels; its padding counts in plane only
   * @param items that lie one after the other
   * @param input extents of the planes read
   * @param before zero planes in front of them
   * @param after zero planes behind them
   */
  record PieceKey(Convolution shape, int items, Extents input, int before, int after) {
    Window window() {
      Extents stride = shape.stride();
      Extents padding = shape.padding();
      return new Window(
          new long[] {stride.depth(), stride.height(), stride.width()},
          new long[] {before, padding.height(), padding.width()},
          new long[] {after, padding.height(), padding.width()});
    }

    long[] source() {
      return new long[] {items, shape.inChannels(), input.depth(), input.height(), input.width()};
    }

    long[] weights() {
      Extents kernel = shape.kernel();
      return new long[] {
        shape.outChannels(), shape.inChannels(), kernel.depth(), kernel.height(), kernel.width()
      };
    }

    long[] destination() {
      Extents output = shape.output(input);
      int reach = input.depth() + before + after - shape.kernel().depth();
      return new long[] {
        items,
        shape.outChannels(),
        reach / shape.stride().depth() + 1,
        output.height(),
        output.width()
      };
    }
  }

  /** Runs with source, gradient of the destination, and gradient of the weights. */
  Primitive convolutionWeights(PieceKey key) {
    record WeightsKey(PieceKey of) {}
    return primitives.get(
        new WeightsKey(key),
        () -> {
          Descriptor source = oneDnn.tagged(Primitives.CHANNELS_LAST, key.source());
          Descriptor destination = oneDnn.tagged(Primitives.CHANNELS_LAST, key.destination());
          try (Descriptor any = oneDnn.any(key.weights());
              PrimitiveDescriptor descriptor =
                  oneDnn.convolutionBackwardWeights(source, any, destination, key.window())) {
            return primitives
                .arguments()
                .add(Primitive.SOURCE, source)
                .add(Primitive.DESTINATION_GRADIENT, destination)
                .add(Primitive.WEIGHTS_GRADIENT, descriptor.layout(Argument.WEIGHTS_GRADIENT))
                .make(descriptor);
          }
        });
  }

  /**
   * The gradient that {@link #convolutionWeights} leaves, to the order of published checkpoints.
   */
  Primitive convolutionWeightsToPlain(PieceKey key) {
    record PlainKey(PieceKey of) {}
    return primitives.get(
        new PlainKey(key),
        () -> {
          Descriptor to = oneDnn.tagged("abcde", key.weights());
          try (PrimitiveDescriptor descriptor =
              oneDnn.reorder(convolutionWeights(key).layout(2), to)) {
            return primitives
                .arguments()
                .add(Primitive.SOURCE, oneDnn.copyOf(convolutionWeights(key).layout(2)))
                .add(Primitive.DESTINATION, to)
                .make(descriptor);
          }
        });
  }

  /**
   * Runs with gradient of the destination, weights in the order of published checkpoints, and
   * gradient of the source.
   */
  Primitive convolutionData(PieceKey key) {
    record DataKey(PieceKey of) {}
    return primitives.get(
        new DataKey(key),
        () -> {
          Descriptor source = oneDnn.tagged(Primitives.CHANNELS_LAST, key.source());
          Descriptor weights = oneDnn.tagged("abcde", key.weights());
          Descriptor destination = oneDnn.tagged(Primitives.CHANNELS_LAST, key.destination());
          try (PrimitiveDescriptor descriptor =
              oneDnn.convolutionBackwardData(source, weights, destination, key.window())) {
            return primitives
                .arguments()
                .add(Primitive.DESTINATION_GRADIENT, destination)
                .add(Primitive.WEIGHTS, weights)
                .add(Primitive.SOURCE_GRADIENT, source)
                .make(descriptor);
          }
        });
  }

  /** Softmax's gradient on contiguous rows; runs with its result, and with the gradient twice. */
  Primitive softmax(int rows, int columns) {
    record SoftmaxKey(int rows, int columns) {}
    return primitives.get(
        new SoftmaxKey(rows, columns),
        () -> {
          Descriptor tensor = oneDnn.tagged("ab", rows, columns);
          try (PrimitiveDescriptor descriptor = oneDnn.softmaxBackward(tensor, 1)) {
            return primitives
                .arguments()
                .add(Primitive.DESTINATION, tensor)
                .add(Primitive.DESTINATION_GRADIENT, oneDnn.copyOf(tensor))
                .add(Primitive.SOURCE_GRADIENT, oneDnn.copyOf(tensor))
                .make(descriptor);
          }
        });
  }

  /** Runs with source, destination, scale, shift, and the mean and the variance of each row. */
  Primitive layerNormForTraining(int rows, int channels, double epsilon) {
    record LayerNormKey(int rows, int channels, double epsilon) {}
    return primitives.get(
        new LayerNormKey(rows, channels, epsilon),
        () -> {
          Descriptor tensor = oneDnn.tagged("ab", rows, channels);
          Descriptor statistics = oneDnn.tagged("a", rows);
          try (PrimitiveDescriptor descriptor =
              oneDnn.layerNormForTraining(tensor, statistics, (float) epsilon)) {
            return primitives
                .arguments()
                .add(Primitive.SOURCE, tensor)
                .add(Primitive.DESTINATION, oneDnn.copyOf(tensor))
                .add(Primitive.SCALE, oneDnn.tagged("a", channels))
                .add(Primitive.SHIFT, oneDnn.tagged("a", channels))
                .add(Primitive.MEAN, statistics)
                .add(Primitive.VARIANCE, oneDnn.copyOf(statistics))
                .make(descriptor);
          }
        });
  }

  /**
   * Runs with source, gradient of the destination, scale, mean and variance of each row, and the
   * gradients of source, scale and shift.
   */
  Primitive layerNorm(int rows, int channels, double epsilon) {
    record LayerNormGradientKey(int rows, int channels, double epsilon) {}
    return primitives.get(
        new LayerNormGradientKey(rows, channels, epsilon),
        () -> {
          Descriptor tensor = oneDnn.tagged("ab", rows, channels);
          Descriptor statistics = oneDnn.tagged("a", rows);
          try (PrimitiveDescriptor descriptor =
              oneDnn.layerNormBackward(tensor, statistics, (float) epsilon)) {
            return primitives
                .arguments()
                .add(Primitive.SOURCE, tensor)
                .add(Primitive.DESTINATION_GRADIENT, oneDnn.copyOf(tensor))
                .add(Primitive.SCALE, oneDnn.tagged("a", channels))
                .add(Primitive.MEAN, statistics)
                .add(Primitive.VARIANCE, oneDnn.copyOf(statistics))
                .add(Primitive.SOURCE_GRADIENT, oneDnn.copyOf(tensor))
                .add(Primitive.SCALE_GRADIENT, oneDnn.tagged("a", channels))
                .add(Primitive.SHIFT_GRADIENT, oneDnn.tagged("a", channels))
                .make(descriptor);
          }
        });
  }
}
