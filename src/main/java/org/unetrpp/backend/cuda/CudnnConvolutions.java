package org.unetrpp.backend.cuda;

import java.util.HashMap;
import java.util.Map;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.MatrixView;
import org.unetrpp.backend.cuda.driver.CudaException;
import org.unetrpp.backend.cuda.driver.Cudnn;
import org.unetrpp.backend.cuda.driver.Cudnn.Direction;
import org.unetrpp.backend.cuda.driver.Precision;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * Convolutions by cuDNN, each by the quickest of its deterministic algorithms. Activations must be
 * aligned to 16 bytes.
 *
 * <p>Gradients of weights come out of cuDNN in the type of the activations, and are added in
 * float32.
 */
final class CudnnConvolutions implements Convolutions, Library<Convolutions, ConvolutionWork> {
  private static final long WORKSPACE_BOUND = 256L << 20;
  private static final int TENSOR_CORE_CHANNELS = 8; // bfloat16 channels in 16 bytes
  private static final long TF32_BROKEN = 91_002; // in 3-D; PyTorch's pull request 167024
  private static final long TF32_MENDED = 91_600;

  private final CudaContext context;
  private final Cudnn cudnn;
  private final Precision precision;
  private final ChoiceTable table;
  private final WeightKernels weights;
  private final ColumnKernels columns;
  private final ElementKernels elements;
  private final long version;
  private final Map<ConvolutionWork, Prepared> prepared = new HashMap<>();

  /** What runs a work. */
  private record Prepared(Cudnn.Plan plan, int algorithm, long workspaceBytes) {}

  /**
   * Convolutions.
   *
   * @param cudnn is closed with this
   * @param table of algorithms
   */
  CudnnConvolutions(CudaContext context, Cudnn cudnn, Precision precision, ChoiceTable table) {
    this.context = context;
    this.cudnn = cudnn;
    this.precision = precision;
    this.table = table;
    weights = new WeightKernels(context);
    columns = new ColumnKernels(context);
    elements = new ElementKernels(context);
    version = cudnn.version();
  }

  @Override
  public String name() {
    return "cudnn";
  }

  @Override
  public Convolutions provider() {
    return this;
  }

  @Override
  public @Nullable String refusal(ConvolutionWork work) {
    int in = work.shape().inChannels();
    int out = work.shape().outChannels();
    if (Math.max(work.inputElements(), work.outputElements()) > Integer.MAX_VALUE) {
      return "has more values than cuDNN counts";
    }
    return switch (work.dtype()) {
      case FLOAT32 ->
          precision == Precision.TENSOR_FLOAT32 && version >= TF32_BROKEN && version < TF32_MENDED
              ? "3-D convolutions in TF32 are wrong in cuDNN " + version
              : null;
      case BFLOAT16 -> {
        if (!TensorCores.areOn(context.driver())) {
          yield "the device has no bfloat16";
        }
        yield in % TENSOR_CORE_CHANNELS != 0 || out % TENSOR_CORE_CHANNELS != 0
            ? "%d to %d channels leave the tensor cores".formatted(in, out)
            : null;
      }
      case FLOAT64, FLOAT16 -> "is of type " + work.dtype();
    };
  }

  @Override
  public void forward(
      Buffer x, Buffer weight, Epilogue epilogue, Buffer y, Grid grid, Convolution shape) {
    Buffer packed = weights.packed(weight, x.dtype(), shape);
    run(Direction.FORWARD, x, packed, y, grid, shape);
    if (!epilogue.equals(Epilogue.NONE)) {
      elements.finish(y, epilogue, shape.outChannels());
    }
  }

  @Override
  public void backwardData(Buffer dy, Buffer weight, Buffer dx, Grid grid, Convolution shape) {
    Buffer packed = weights.packed(weight, dx.dtype(), shape);
    run(Direction.BACKWARD_DATA, dx, packed, dy, grid, shape);
  }

  @Override
  public void backwardWeights(
      Buffer x, Buffer dy, Buffer dweight, @Nullable Buffer dbias, Grid grid, Convolution shape) {
    try (var _ = context.scopes().open()) {
      Buffer packed = context.scopes().allocate(x.dtype(), dweight.elements());
      run(Direction.BACKWARD_WEIGHTS, x, packed, dy, grid, shape);
      weights.addUnpacked(packed, dweight, shape);
    }
    if (dbias != null) {
      columns.addColumnSums(MatrixView.of(dy, shape.outChannels()), dbias);
    }
  }

  /** Runs with x, the weights and y, or the gradient of one of them. */
  private void run(
      Direction direction, Buffer x, Buffer packed, Buffer y, Grid grid, Convolution shape) {
    ConvolutionWork work = new ConvolutionWork(direction, x.dtype(), precision, grid, shape);
    Prepared how = prepared.get(work);
    if (how == null) {
      how = prepare(work, x, packed, y);
      prepared.put(work, how);
    }
    try (var _ = context.scopes().open()) {
      cudnn.run(
          how.plan(),
          how.algorithm(),
          x.address(),
          packed.address(),
          y.address(),
          workspace(how.workspaceBytes()),
          how.workspaceBytes());
    }
  }

  /** Address of workspace of the innermost scope; 0 if none is needed. */
  private long workspace(long bytes) {
    return bytes == 0 ? 0 : context.floats(Math.ceilDiv(bytes, DType.FLOAT32.bytes())).address();
  }

  private Prepared prepare(ConvolutionWork work, Buffer x, Buffer packed, Buffer y) {
    Cudnn.Plan plan =
        cudnn.plan(
            work.direction(), CudnnLayout.of(work.dtype(), work.grid(), work.shape()), precision);
    try {
      OptionalInt before = table.algorithm(work.key());
      int algorithm =
          before.isPresent() && isUsable(plan, work.direction(), before.getAsInt())
              ? before.getAsInt()
              : quickest(work, plan, x, packed, y);
      return new Prepared(plan, algorithm, cudnn.workspaceBytes(plan, algorithm));
    } catch (RuntimeException e) {
      cudnn.destroy(plan);
      throw e;
    }
  }

  private boolean isUsable(Cudnn.Plan plan, Direction direction, int algorithm) {
    if (algorithm < 0 || algorithm >= cudnn.algorithms(direction)) {
      return false;
    }
    long bytes = cudnn.workspaceBytes(plan, algorithm);
    return bytes >= 0 && bytes <= WORKSPACE_BOUND;
  }

  private int quickest(ConvolutionWork work, Cudnn.Plan plan, Buffer x, Buffer packed, Buffer y) {
    long bytes = 0;
    for (int algorithm = 0; algorithm < cudnn.algorithms(work.direction()); algorithm++) {
      if (isUsable(plan, work.direction(), algorithm)) {
        bytes = Math.max(bytes, cudnn.workspaceBytes(plan, algorithm));
      }
    }
    try (var _ = context.scopes().open()) {
      int algorithm =
          cudnn
              .measure(plan, x.address(), packed.address(), y.address(), workspace(bytes), bytes)
              .stream()
              .filter(Cudnn.Measured::deterministic)
              .mapToInt(Cudnn.Measured::algorithm)
              .filter(candidate -> isUsable(plan, work.direction(), candidate))
              .findFirst()
              .orElseThrow(() ->
                  new CudaException("cuDNN %d has no deterministic algorithm".formatted(version)));
      table.chooseAlgorithm(work.key(), algorithm);
      return algorithm;
    }
  }

  @Override
  public void close() {
    prepared.values().forEach(how -> cudnn.destroy(how.plan()));
    prepared.clear();
    cudnn.close();
  }
}
