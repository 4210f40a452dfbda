package org.unetrpp.backend.cpu;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.cpu.OneDnn.Argument;
import org.unetrpp.backend.cpu.OneDnn.Descriptor;
import org.unetrpp.backend.cpu.OneDnn.PostOp;
import org.unetrpp.backend.cpu.OneDnn.PrimitiveDescriptor;
import org.unetrpp.backend.cpu.OneDnn.Window;
import org.unetrpp.grid.Extents;

/**
 * Makes oneDNN's primitives, each for one shape, and keeps them. They are made by the thread that
 * drives the backend and may then run on every thread of its pool.
 */
final class Primitives implements AutoCloseable {
  /** Channels last, of NCDHW. */
  static final String CHANNELS_LAST = "acdeb";

  private final OneDnn oneDnn;
  private final int threads;
  private final Arena arena;
  private final Map<Record, Primitive> made = new HashMap<>();

  @SuppressWarnings("MustBeClosedChecker") // close closes it
  Primitives(OneDnn oneDnn, int threads) {
    this.oneDnn = oneDnn;
    this.threads = threads;
    arena = Arena.ofShared();
  }

  /**
   * What a convolution does to its result before storing it, in this order.
   *
   * @param bias adds a bias
   * @param addend adds a tensor of the same shape
   * @param slope of the LeakyReLU at the end; 1 for none
   */
  record Epilogue(boolean bias, boolean addend, float slope) {
    static final Epilogue NONE = new Epilogue(false, false, 1);

    private PostOp[] postOps(Descriptor result) {
      List<PostOp> postOps = new ArrayList<>();
      if (addend) {
        postOps.add(new PostOp.Add(result));
      }
      if (slope != 1) {
        postOps.add(new PostOp.LeakyRelu(slope));
      }
      return postOps.toArray(PostOp[]::new);
    }
  }

  /**
   * A convolution of one slab of planes.
   *
   * @param shape kernel, stride, channels; its padding counts in plane only
   * @param input extents of the slab read
   * @param before zero planes in front of it
   * @param after zero planes behind it
   */
  record SlabKey(Convolution shape, Extents input, int before, int after, Epilogue epilogue) {}

  /**
   * The convolution of a slab; runs with source, weights, destination, and bias and addend where
   * the epilogue has them.
   *
   * @param weights layout to use, or the library's choice
   */
  Primitive convolution(SlabKey key, @Nullable Descriptor weights) {
    return get(key, () -> makeConvolution(key, weights));
  }

  private Primitive makeConvolution(SlabKey key, @Nullable Descriptor givenWeights) {
    Convolution shape = key.shape();
    Extents in = key.input();
    Extents kernel = shape.kernel();
    Extents stride = shape.stride();
    Extents padding = shape.padding();
    int planes = (in.depth() + key.before() + key.after() - kernel.depth()) / stride.depth() + 1;
    Extents out = shape.output(in);
    Descriptor source =
        oneDnn.tagged(CHANNELS_LAST, 1, shape.inChannels(), in.depth(), in.height(), in.width());
    Descriptor destination =
        oneDnn.tagged(CHANNELS_LAST, 1, shape.outChannels(), planes, out.height(), out.width());
    Descriptor bias = oneDnn.tagged("a", shape.outChannels());
    try (Descriptor any =
            oneDnn.any(
                shape.outChannels(),
                shape.inChannels(),
                kernel.depth(),
                kernel.height(),
                kernel.width());
        PrimitiveDescriptor descriptor =
            oneDnn.convolution(
                source,
                givenWeights == null ? any : givenWeights,
                key.epilogue().bias() ? bias : null,
                destination,
                new Window(
                    new long[] {stride.depth(), stride.height(), stride.width()},
                    new long[] {key.before(), padding.height(), padding.width()},
                    new long[] {key.after(), padding.height(), padding.width()}),
                key.epilogue().postOps(destination))) {
      ArgumentList arguments = new ArgumentList();
      arguments.add(Primitive.SOURCE, source);
      arguments.add(Primitive.WEIGHTS, descriptor.layout(Argument.WEIGHTS));
      arguments.add(Primitive.DESTINATION, destination);
      if (key.epilogue().bias()) {
        arguments.add(Primitive.BIAS, bias);
      } else {
        bias.close();
      }
      if (key.epilogue().addend()) {
        arguments.add(Primitive.addend(0), descriptor.layout(Argument.DESTINATION));
      }
      return arguments.make(descriptor);
    }
  }

  /**
   * Some planes of a kernel, in the order of published checkpoints, to the layout of a convolution.
   *
   * @param taps of the whole kernel
   */
  Primitive weightReorder(SlabKey key, int taps, Descriptor layout) {
    record ReorderKey(SlabKey of, int taps) {}
    return get(
        new ReorderKey(key, taps),
        () -> {
          Extents kernel = key.shape().kernel();
          int in = key.shape().inChannels();
          long[] dims = {
            key.shape().outChannels(), in, kernel.depth(), kernel.height(), kernel.width()
          };
          long plane = (long) kernel.height() * kernel.width();
          long[] strides = {(long) in * taps, taps, plane, kernel.width(), 1};
          Descriptor from = oneDnn.strided(dims, strides);
          try (PrimitiveDescriptor descriptor = oneDnn.reorder(from, layout)) {
            return new ArgumentList()
                .add(Primitive.SOURCE, from)
                .add(Primitive.DESTINATION, descriptor.layout(Argument.DESTINATION))
                .make(descriptor);
          }
        });
  }

  /**
   * A copy of a matrix between two layouts; runs with source and destination.
   *
   * @param fromStrides steps between rows and between columns of the source
   * @param toStrides steps between rows and between columns of the destination
   */
  Primitive copy(int rows, int columns, Strides fromStrides, Strides toStrides) {
    record CopyKey(int rows, int columns, Strides from, Strides to) {}
    return get(
        new CopyKey(rows, columns, fromStrides, toStrides),
        () -> {
          long[] dims = {rows, columns};
          Descriptor from = oneDnn.strided(dims, fromStrides.array());
          Descriptor to = oneDnn.strided(dims, toStrides.array());
          try (PrimitiveDescriptor descriptor = oneDnn.reorder(from, to)) {
            return new ArgumentList()
                .add(Primitive.SOURCE, from)
                .add(Primitive.DESTINATION, to)
                .make(descriptor);
          }
        });
  }

  /** Steps, in elements, between rows and between columns. */
  record Strides(long row, long column) {
    private long[] array() {
      return new long[] {row, column};
    }
  }

  /** Softmax of contiguous rows in place; runs with the tensor twice. */
  Primitive softmax(int rows, int columns) {
    record SoftmaxKey(int rows, int columns) {}
    return get(
        new SoftmaxKey(rows, columns), () -> makeSoftmax(rows, columns, new long[] {columns, 1}));
  }

  /** Softmax between contiguous rows, column by column, in place; runs with the tensor twice. */
  Primitive softmaxOfColumns(int rows, int columns) {
    record SoftmaxOfColumnsKey(int rows, int columns) {}
    return get(
        new SoftmaxOfColumnsKey(rows, columns),
        () -> makeSoftmax(columns, rows, new long[] {1, columns}));
  }

  private Primitive makeSoftmax(int items, int classes, long[] strides) {
    Descriptor tensor = oneDnn.strided(new long[] {items, classes}, strides);
    try (PrimitiveDescriptor descriptor = oneDnn.softmax(tensor, 1)) {
      return new ArgumentList()
          .add(Primitive.SOURCE, tensor)
          .add(Primitive.DESTINATION, descriptor.layout(Argument.DESTINATION))
          .make(descriptor);
    }
  }

  /** Layer normalization of rows; runs with source, destination, scale and shift. */
  Primitive layerNorm(int rows, int channels, double epsilon) {
    record LayerNormKey(int rows, int channels, double epsilon) {}
    return get(
        new LayerNormKey(rows, channels, epsilon),
        () -> {
          Descriptor tensor = oneDnn.tagged("ab", rows, channels);
          try (PrimitiveDescriptor descriptor = oneDnn.layerNorm(tensor, (float) epsilon)) {
            return new ArgumentList()
                .add(Primitive.SOURCE, tensor)
                .add(Primitive.DESTINATION, descriptor.layout(Argument.DESTINATION))
                .add(Primitive.SCALE, oneDnn.tagged("a", channels))
                .add(Primitive.SHIFT, oneDnn.tagged("a", channels))
                .make(descriptor);
          }
        });
  }

  /**
   * Products of matrices by one matrix.
   *
   * @param batch number of products
   * @param rows of each product
   * @param inner columns of each source
   * @param columns of each product
   * @param sourceStep elements from one source to the next; rows are contiguous
   * @param resultStep elements from one product to the next; rows are contiguous
   * @param addend whether a tensor of the products' layout is added
   */
  record BatchedProduct(
      int batch,
      int rows,
      int inner,
      int columns,
      long sourceStep,
      long resultStep,
      boolean addend) {}

  /** Runs with source, weights (inner, columns), destination, and addend where there is one. */
  Primitive product(BatchedProduct key) {
    return get(
        key,
        () -> {
          Descriptor source =
              oneDnn.strided(
                  new long[] {key.batch(), key.rows(), key.inner()},
                  new long[] {key.sourceStep(), key.inner(), 1});
          Descriptor weights =
              oneDnn.strided(
                  new long[] {1, key.inner(), key.columns()},
                  new long[] {(long) key.inner() * key.columns(), key.columns(), 1});
          Descriptor result =
              oneDnn.strided(
                  new long[] {key.batch(), key.rows(), key.columns()},
                  new long[] {key.resultStep(), key.columns(), 1});
          PostOp[] postOps = key.addend() ? new PostOp[] {new PostOp.Add(result)} : new PostOp[0];
          try (PrimitiveDescriptor descriptor =
              oneDnn.matmul(source, weights, null, result, postOps)) {
            ArgumentList arguments =
                new ArgumentList()
                    .add(Primitive.SOURCE, source)
                    .add(Primitive.WEIGHTS, weights)
                    .add(Primitive.DESTINATION, result);
            if (key.addend()) {
              arguments.add(Primitive.addend(0), descriptor.layout(Argument.DESTINATION));
            }
            return arguments.make(descriptor);
          }
        });
  }

  /** No arguments yet. */
  ArgumentList arguments() {
    return new ArgumentList();
  }

  /** Arguments of a primitive in the order in which it is run with them. */
  final class ArgumentList {
    private final List<Integer> numbers = new ArrayList<>();
    private final List<Descriptor> layouts = new ArrayList<>();

    ArgumentList add(int number, Descriptor layout) {
      numbers.add(number);
      layouts.add(layout);
      return this;
    }

    Primitive make(PrimitiveDescriptor descriptor) {
      return new Primitive(
          oneDnn,
          arena,
          descriptor,
          numbers.stream().mapToInt(Integer::intValue).toArray(),
          layouts.toArray(Descriptor[]::new),
          threads);
    }
  }

  /**
   * The primitive of a key, made when it is not there. Making one asks oneDNN to plan for the
   * threads of the caller, which must be one.
   */
  Primitive get(Record key, Supplier<Primitive> maker) {
    Primitive primitive = made.get(key);
    if (primitive == null) {
      int before = oneDnn.useOneThread();
      try {
        primitive = maker.get();
      } catch (IllegalStateException e) {
        throw new IllegalStateException("no primitive for " + key + ": " + e.getMessage(), e);
      } finally {
        oneDnn.restoreThreads(before);
      }
      made.put(key, primitive);
    }
    return primitive;
  }

  @Override
  public void close() {
    made.values().forEach(Primitive::close);
    made.clear();
    arena.close();
  }
}
