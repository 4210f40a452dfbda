package org.unetrpp.backend.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.Boxes;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.ComposedBoxes;
import org.unetrpp.backend.ComposedTrainingBoxes;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.MatrixView;
import org.unetrpp.backend.Plan;
import org.unetrpp.backend.Probe;
import org.unetrpp.backend.TrainingBoxes;
import org.unetrpp.backend.TrainingPrimitives;
import org.unetrpp.backend.cpu.Primitives.Epilogue;
import org.unetrpp.backend.cpu.Primitives.Strides;
import org.unetrpp.backend.cpu.machine.Follower;
import org.unetrpp.backend.cpu.machine.Operands;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Allocator;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.HostAllocator;
import org.unetrpp.memory.HostMemory;
import org.unetrpp.memory.ScopeStack;

/**
 * The processor in float32: own machine code for most convolutions, oneDNN for the others and for
 * matrix products, own passes for what is between, all cut into tasks for a pool of threads. Work
 * is cut by shape and partial sums are merged in fixed order, so results are the same bytes
 * whatever the number of threads.
 */
public final class CpuBackend implements Backend {
  /** System property; {@code onednn} leaves all convolutions to oneDNN. */
  public static final String KERNELS = "unetrpp.cpu.kernels";

  private static final int ROWS_OF_COPY = 4096;

  private final CpuContext context;
  private final HostAllocator memory = new HostAllocator();
  private final Allocator allocator = new InvalidatingAllocator();
  private final Planner planner;
  private final ScopeStack scopes = new ScopeStack(allocator);
  private final Boxes boxes;
  private final Map<SlabKey, SlabConvolution> slabConvolutions = new HashMap<>();
  private final Map<MachineKey, MachineConvolution> machineConvolutions = new HashMap<>();
  private final Normalizations normalizations;
  private final MatrixProducts products;
  private final Columns columns;
  private final CpuTraining training;
  private final TrainingBoxes trainingBoxes;
  private Probe probe = Probe.NONE;
  private boolean closed;

  private record SlabKey(Convolution shape, Extents input, Epilogue epilogue) {}

  private record MachineKey(
      Convolution shape, Extents input, Epilogue epilogue, @Nullable Float normalizing) {}

  /**
   * Opens the processor.
   *
   * @param threads that work, the caller's among them
   * @throws UnsatisfiedLinkError if oneDNN cannot be loaded; the message says what to install
   */
  public CpuBackend(int threads) {
    this(
        threads,
        !"onednn".equals(System.getProperty(KERNELS)),
        CpuBoxes::new,
        CpuTrainingBoxes::new);
  }

  private CpuBackend(
      int threads,
      boolean ownKernels,
      Function<CpuBackend, Boxes> boxes,
      Function<CpuBackend, TrainingBoxes> trainingBoxes) {
    context = CpuContext.create(threads, ownKernels);
    planner = new Planner(memory, context.packs());
    normalizations = new Normalizations(context);
    products = new MatrixProducts(context);
    columns = new Columns(context);
    training = new CpuTraining(this);
    this.boxes = boxes.apply(this);
    this.trainingBoxes = trainingBoxes.apply(this);
  }

  /** Opens the processor with every box composed from primitives, for comparisons. */
  public static CpuBackend composed(int threads) {
    return new CpuBackend(threads, true, ComposedBoxes::new, ComposedTrainingBoxes::new);
  }

  /** Opens the processor with all convolutions left to oneDNN, as where no code can be made. */
  public static CpuBackend withoutOwnKernels(int threads) {
    return new CpuBackend(threads, false, CpuBoxes::new, CpuTrainingBoxes::new);
  }

  /**
   * What a person wants to know of the backend.
   *
   * @param oneDnnVersion as in {@code 3.11.0}
   * @param instructionSet that oneDNN uses here, in its own terms
   * @param ownKernels whether convolutions run on machine code of our own where there is some
   * @param threads that work
   */
  public record Capabilities(
      String oneDnnVersion, String instructionSet, boolean ownKernels, int threads) {}

  /** Version and instruction set of oneDNN, and the threads. */
  public Capabilities capabilities() {
    return new Capabilities(
        context.oneDnn().version(),
        context.oneDnn().instructionSet(),
        context.machineCode(),
        context.pool().threads());
  }

  /** Bytes that the backend holds besides its allocator's: repacked weights and scratch. */
  public long workspaceBytes() {
    return context.workspace().bytesHeld();
  }

  /** Bytes that the allocator holds, in use or kept for the next request. */
  public long bytesHeld() {
    return memory.bytesHeld();
  }

  CpuContext context() {
    return context;
  }

  /** The plan of a convolution, made once for each shape. */
  PlannedConvolution convolution(Convolution shape, Extents input, Epilogue epilogue) {
    return runsOnOwnCode(shape, input)
        ? machineConvolution(shape, input, epilogue, null)
        : slabConvolution(shape, input, epilogue);
  }

  /**
   * The plan of a convolution that reads {@code leakyRelu((x - mean) scale + shift)}, or none if
   * that has to be a pass of its own.
   */
  @Nullable PlannedConvolution normalizingConvolution(
      Convolution shape, Extents input, float slope) {
    return runsOnOwnCode(shape, input)
        ? machineConvolution(shape, input, Epilogue.NONE, slope)
        : null;
  }

  private boolean runsOnOwnCode(Convolution shape, Extents input) {
    return context.machineCode() && MachineConvolution.suits(shape, input);
  }

  private MachineConvolution machineConvolution(
      Convolution shape, Extents input, Epilogue epilogue, @Nullable Float normalizing) {
    return machineConvolutions.computeIfAbsent(
        new MachineKey(shape, input, epilogue, normalizing),
        _ -> new MachineConvolution(context, shape, input, epilogue, normalizing));
  }

  /** The same by oneDNN. */
  SlabConvolution slabConvolution(Convolution shape, Extents input, Epilogue epilogue) {
    return slabConvolutions.computeIfAbsent(
        new SlabKey(shape, input, epilogue),
        _ -> new SlabConvolution(context, shape, input, epilogue));
  }

  Normalizations normalizations() {
    return normalizations;
  }

  Columns columns() {
    return columns;
  }

  /** Forgets what was packed from memory that is given back. */
  private final class InvalidatingAllocator implements Allocator {
    @Override
    public long allocate(long bytes) {
      return planner.allocator().allocate(bytes);
    }

    @Override
    public void release(long address, long bytes) {
      if (!planner.isPlanning()) {
        context.packs().invalidate(address, bytes);
      }
      planner.allocator().release(address, bytes);
    }

    @Override
    public long bytesInUse() {
      return memory.bytesInUse();
    }
  }

  @Override
  public String name() {
    return "cpu";
  }

  @Override
  public DType computeType() {
    return DType.FLOAT32;
  }

  @Override
  public Allocator allocator() {
    return allocator;
  }

  @Override
  public ScopeStack scopes() {
    return scopes;
  }

  @Override
  public Boxes boxes() {
    return boxes;
  }

  @Override
  public TrainingPrimitives training() {
    return training;
  }

  CpuTraining cpuTraining() {
    return training;
  }

  @Override
  public TrainingBoxes trainingBoxes() {
    return trainingBoxes;
  }

  @Override
  public Probe probe() {
    return probe;
  }

  @Override
  public void observe(Probe probe) {
    this.probe = probe;
  }

  @Override
  public void upload(float[] values, Buffer destination) {
    upload(MemorySegment.ofArray(values), destination);
  }

  @Override
  public void upload(MemorySegment values, Buffer destination) {
    MemorySegment to = float32(destination, values.byteSize());
    context.packs().invalidate(destination.address(), destination.bytes());
    to.copyFrom(values);
  }

  @Override
  public float[] download(Buffer source) {
    context.packs().requireUnspent(source);
    return float32(source, source.bytes()).toArray(JAVA_FLOAT);
  }

  @Override
  public void download(Buffer source, MemorySegment destination) {
    context.packs().requireUnspent(source);
    destination.copyFrom(float32(source, destination.byteSize()));
  }

  @Override
  public double[] downloadDouble(Buffer source) {
    context.packs().requireUnspent(source);
    float32(source, source.bytes());
    return Values.of(source).toDoubles();
  }

  @Override
  public MemorySegment hostView(Buffer source) {
    context.packs().requireUnspent(source);
    return float32(source, source.bytes());
  }

  /** The memory of a buffer that must be float32 and of the size of its counterpart. */
  private static MemorySegment float32(Buffer buffer, long bytes) {
    if (buffer.dtype() != DType.FLOAT32) {
      throw new IllegalArgumentException(
          "a buffer of %s, expected FLOAT32".formatted(buffer.dtype()));
    }
    if (buffer.bytes() != bytes) {
      throw new IllegalArgumentException(
          "%d bytes of values for a buffer of %d".formatted(bytes, buffer.bytes()));
    }
    return HostMemory.segment(buffer);
  }

  @Override
  public void channelsLast(Buffer x, Buffer y, Grid grid, int channels) {
    long tokens = grid.tokens();
    reorder(x, y, grid, channels, new Strides(1, tokens), new Strides(channels, 1));
  }

  @Override
  public void channelsFirst(Buffer x, Buffer y, Grid grid, int channels) {
    long tokens = grid.tokens();
    reorder(x, y, grid, channels, new Strides(channels, 1), new Strides(1, tokens));
  }

  private void reorder(Buffer x, Buffer y, Grid grid, int channels, Strides from, Strides to) {
    int tokens = grid.tokens();
    int rows = Math.min(tokens, ROWS_OF_COPY);
    int tasks = Math.ceilDiv(tokens, rows);
    int rest = CpuContext.lastBlock(tokens, rows);
    Primitive full = context.primitives().copy(rows, channels, from, to);
    Primitive last = context.primitives().copy(rest, channels, from, to);
    long item = (long) tokens * channels;
    ThreadPool.Task copying =
        (task, worker) -> {
          long begin = task / tasks * item;
          long row = (long) task % tasks * rows;
          (task % tasks == tasks - 1 ? last : full)
              .run(
                  worker,
                  x.address() + (begin + row * from.row()) * Float.BYTES,
                  y.address() + (begin + row * to.row()) * Float.BYTES);
        };
    perform(new CpuContext.Pass(context.pool(), grid.batch() * tasks, copying));
  }

  @Override
  public void convolution(
      Buffer x, Buffer weight, @Nullable Buffer bias, Buffer y, Grid grid, Convolution shape) {
    Epilogue epilogue = new Epilogue(bias != null, false, 1);
    PlannedConvolution plan = convolution(shape, grid.extents(), epilogue);
    Operands operands = PlannedConvolution.operands(x, plan.pack(weight, bias), y);
    perform(plan.pass(context.pool(), grid.batch(), operands, _ -> Follower.NONE));
  }

  @Override
  public void transposedConvolution(
      Buffer x, Buffer weight, Buffer y, Grid grid, Convolution shape) {
    TransposedConvolution plan = new TransposedConvolution(context, weight, grid, shape, false);
    perform(() -> plan.run(x, null, y));
  }

  @Override
  public void matrixProduct(
      MatrixView a,
      boolean transposeA,
      MatrixView b,
      boolean transposeB,
      MatrixView c,
      boolean accumulate) {
    perform(() -> products.multiply(a, transposeA, b, transposeB, c, accumulate));
  }

  @Override
  public void addBias(MatrixView x, Buffer bias) {
    Values to = Values.of(x.buffer());
    float[] addend = Values.of(bias).toArray();
    perform(() ->
        context.forEachRow(
            x,
            (_, first, worker) -> {
              float[] values = worker.array(0, x.columns());
              to.read(first, values, x.columns());
              Loops.add(values, addend, x.columns());
              to.write(first, values, x.columns());
            }));
  }

  @Override
  public void layerNorm(
      Buffer x, Buffer gamma, Buffer beta, Buffer y, int channels, double epsilon) {
    perform(() -> normalizations.layerNorm(x, gamma, beta, y, channels, epsilon));
  }

  @Override
  public void groupNorm(
      Buffer x,
      @Nullable Buffer gamma,
      @Nullable Buffer beta,
      Buffer y,
      Grid grid,
      int channels,
      int groups,
      double epsilon) {
    perform(() -> normalizations.groupNorm(x, gamma, beta, y, grid, channels, groups, epsilon));
  }

  @Override
  public void batchNorm(Buffer x, ChannelNorm.Batch norm, Buffer y, int channels, double epsilon) {
    perform(() -> normalizations.batchNorm(x, norm, y, epsilon));
  }

  @Override
  public void leakyRelu(Buffer x, Buffer y, double slope) {
    if (slope > 1) {
      throw new IllegalArgumentException("LeakyReLU of slope " + slope + ", expected at most 1");
    }
    map(x, y, 1, (_, values, count, _) -> Loops.leakyRelu(values, (float) slope, count));
  }

  @Override
  public void softmax(Buffer x, Buffer y, int columns) {
    int rows = Math.toIntExact(x.elements() / columns);
    int perTask = Math.min(rows, Math.max(1, CpuContext.TASK_VALUES / columns));
    Primitive full = context.primitives().softmax(perTask, columns);
    Primitive last = context.primitives().softmax(CpuContext.lastBlock(rows, perTask), columns);
    perform(() ->
        context.forEachBlock(
            rows,
            perTask,
            (first, count, worker) -> {
              long at = (long) first * columns * Float.BYTES;
              (count == perTask ? full : last).run(worker, x.address() + at, y.address() + at);
            }));
  }

  @Override
  public void add(Buffer a, Buffer b, Buffer y) {
    Values addend = Values.of(b);
    map(
        a,
        y,
        1,
        (first, values, count, worker) -> {
          float[] other = worker.array(1, count);
          addend.readRepeated(first, other, count);
          Loops.add(values, other, count);
        });
  }

  @Override
  public void addScaled(Buffer a, Buffer gamma, Buffer b, Buffer y, int channels) {
    Values addend = Values.of(b);
    float[] scale = Loops.repeated(Values.of(gamma).toArray(), Loops.tile(channels));
    map(
        a,
        y,
        channels,
        (first, values, count, worker) -> {
          float[] other = worker.array(1, count);
          addend.read(first, other, count);
          Loops.addScaled(values, scale, other, count);
        });
  }

  @Override
  public void scaleRuns(Buffer x, Buffer scales, long run) {
    float[] factors = Values.of(scales).toArray();
    map(
        x,
        x,
        1,
        (first, values, count, _) ->
            Runs.forEach(
                first,
                count,
                run,
                factors.length,
                (scale, from, to) -> Loops.scale(values, factors[scale], from, to)));
  }

  private interface TileMap {
    void apply(long first, float[] values, int count, Worker worker);
  }

  /** {@code y = f(x)} by tiles of whole rows of {@code period} values. */
  private void map(Buffer x, Buffer y, int period, TileMap function) {
    Values from = Values.of(x);
    Values to = Values.of(y);
    perform(() ->
        context.forEachTile(
            x.elements(),
            period,
            (first, count, worker) -> {
              float[] values = worker.array(0, count);
              from.read(first, values, count);
              function.apply(first, values, count, worker);
              to.write(first, values, count);
            }));
  }

  @Override
  public void normalizeColumns(MatrixView x) {
    perform(() -> columns.normalize(x, null));
  }

  @Override
  public Plan plan(Supplier<Buffer> computation, List<Buffer> spent) {
    if (!probe.equals(Probe.NONE)) {
      throw new IllegalStateException("a plan shows a probe nothing");
    }
    return planner.plan(scopes, computation, spent);
  }

  /** Does a step now or, while a plan is made, notes it. */
  void perform(Runnable step) {
    planner.perform(step);
  }

  @Override
  public void synchronize() {} // every call returns when its work is done

  /**
   * Ends the threads and returns all memory.
   *
   * @throws org.unetrpp.memory.DeviceMemoryException if some is still in use; it is returned all
   *     the same
   */
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      machineConvolutions.values().forEach(MachineConvolution::close);
      context.close();
      memory.close();
    }
  }
}
