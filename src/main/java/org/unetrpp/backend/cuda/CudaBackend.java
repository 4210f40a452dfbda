package org.unetrpp.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.Boxes;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.MatrixView;
import org.unetrpp.backend.Plan;
import org.unetrpp.backend.Probe;
import org.unetrpp.backend.TrainingBoxes;
import org.unetrpp.backend.TrainingPrimitives;
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.backend.cuda.driver.CudaException;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Allocator;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.ScopeStack;
import org.unetrpp.window.WindowEngine;

/**
 * One NVIDIA GPU. Activations are float32 or bfloat16, arithmetic is in float32; parameters, their
 * gradients and statistics are float32 always. All work goes to one stream, in order, but for
 * {@link Branches}.
 */
public final class CudaBackend implements Backend {
  private final CudaDriver driver;
  private final DType computeType;
  private final DeviceMemory memory;
  private final CudaContext context;
  private final Providers.Opened providers;
  private final TransposedConvolutionKernels transposedConvolution;
  private final HeadKernels head;
  private final LayerNormKernels layerNorm;
  private final GroupNormKernels groupNorm;
  private final BatchNormKernels batchNorm;
  private final SoftmaxKernels softmax;
  private final ElementKernels elements;
  private final ColumnKernels columns;
  private final CudaTraining training;
  private final Boxes boxes;
  private final TrainingBoxes trainingBoxes;
  private Probe probe = Probe.NONE;

  /**
   * Opens a device with own kernels for everything.
   *
   * @param driver is closed with the backend
   * @param computeType of activations, float32 or bfloat16
   */
  public CudaBackend(CudaDriver driver, DType computeType) {
    this(driver, computeType, Providers.own());
  }

  /**
   * Opens a device.
   *
   * @param driver is closed with the backend
   * @param computeType of activations, float32 or bfloat16
   * @param providers of convolutions and matrix products
   */
  public CudaBackend(CudaDriver driver, DType computeType, Providers providers) {
    this(driver, computeType, DeviceMemory.pooled(driver), providers);
  }

  CudaBackend(CudaDriver driver, DType computeType, DeviceMemory memory) {
    this(driver, computeType, memory, Providers.own());
  }

  CudaBackend(CudaDriver driver, DType computeType, DeviceMemory memory, Providers providers) {
    if (computeType != DType.FLOAT32 && computeType != DType.BFLOAT16) {
      throw new IllegalArgumentException("compute type is " + computeType);
    }
    this.driver = driver;
    this.computeType = computeType;
    this.memory = memory;
    context = new CudaContext(driver, driver.createStream(), memory);
    this.providers = providers.open(context);
    transposedConvolution = new TransposedConvolutionKernels(context);
    head = new HeadKernels(context);
    layerNorm = new LayerNormKernels(context);
    groupNorm = new GroupNormKernels(context);
    batchNorm = new BatchNormKernels(context, groupNorm);
    softmax = new SoftmaxKernels(context);
    elements = new ElementKernels(context);
    columns = new ColumnKernels(context);
    training = new CudaTraining(this);
    boxes = new CudaBoxes(this);
    trainingBoxes = new CudaTrainingBoxes(this);
  }

  CudaContext context() {
    return context;
  }

  Convolutions convolutions() {
    return providers.convolutions();
  }

  TransposedConvolutionKernels transposedConvolution() {
    return transposedConvolution;
  }

  HeadKernels head() {
    return head;
  }

  LayerNormKernels layerNorm() {
    return layerNorm;
  }

  GroupNormKernels groupNorm() {
    return groupNorm;
  }

  BatchNormKernels batchNorm() {
    return batchNorm;
  }

  SoftmaxKernels softmax() {
    return softmax;
  }

  ElementKernels elements() {
    return elements;
  }

  ColumnKernels columns() {
    return columns;
  }

  @Override
  public String name() {
    return "cuda:" + driver.device().ordinal();
  }

  @Override
  public DType computeType() {
    return computeType;
  }

  @Override
  public DType parameterType() {
    return DType.FLOAT32;
  }

  @Override
  public Allocator allocator() {
    return memory;
  }

  @Override
  public ScopeStack scopes() {
    return context.scopes();
  }

  @Override
  public Boxes boxes() {
    return boxes;
  }

  @Override
  public TrainingPrimitives training() {
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
  public void observe(Probe newProbe) {
    probe = newProbe;
  }

  @Override
  public void upload(float[] values, Buffer destination) {
    upload(MemorySegment.ofArray(values), destination);
  }

  @Override
  public void upload(MemorySegment values, Buffer destination) {
    if (values.byteSize() != destination.elements() * Float.BYTES) {
      throw new IllegalArgumentException(
          "%d bytes of float32 do not fill %d elements"
              .formatted(values.byteSize(), destination.elements()));
    }
    context.packs().invalidate(destination.address(), destination.bytes());
    PinnedStaging staging = context.staging();
    switch (destination.dtype()) {
      case FLOAT32 -> staging.toDevice(destination.address(), values);
      case BFLOAT16 ->
          staging.toDevice(
              destination.address(),
              destination.bytes(),
              (slot, offset) -> round(values, offset / Short.BYTES, slot));
      case FLOAT64, FLOAT16 -> throw unsupported(destination);
    }
  }

  /** Fills a slot with floats from the {@code first} on. */
  private static void round(MemorySegment values, long first, MemorySegment slot) {
    long count = slot.byteSize() / Short.BYTES;
    for (long i = 0; i < count; i++) {
      float value = values.getAtIndex(JAVA_FLOAT_UNALIGNED, first + i);
      slot.setAtIndex(JAVA_SHORT, i, BFloat16.fromFloat(value));
    }
  }

  @Override
  public float[] download(Buffer source) {
    float[] values = new float[Math.toIntExact(source.elements())];
    download(source, MemorySegment.ofArray(values));
    return values;
  }

  @Override
  public void download(Buffer source, MemorySegment destination) {
    PinnedStaging staging = context.staging();
    switch (source.dtype()) {
      case FLOAT32 -> staging.toHost(source.address(), destination.asSlice(0, source.bytes()));
      case BFLOAT16 ->
          staging.toHost(
              source.address(),
              source.bytes(),
              (slot, offset) -> widen(slot, destination, offset / Short.BYTES));
      case FLOAT64, FLOAT16 -> throw unsupported(source);
    }
  }

  /** Writes the values of a slot as floats from the {@code first} on. */
  private static void widen(MemorySegment slot, MemorySegment values, long first) {
    long count = slot.byteSize() / Short.BYTES;
    for (long i = 0; i < count; i++) {
      float value = BFloat16.toFloat(slot.getAtIndex(JAVA_SHORT, i));
      values.setAtIndex(JAVA_FLOAT_UNALIGNED, first + i, value);
    }
  }

  private static IllegalArgumentException unsupported(Buffer buffer) {
    return new IllegalArgumentException("values of type " + buffer.dtype());
  }

  @Override
  public double[] downloadDouble(Buffer source) {
    float[] values = download(source);
    double[] converted = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      converted[i] = values[i];
    }
    return converted;
  }

  @Override
  public void channelsLast(Buffer x, Buffer y, Grid grid, int channels) {
    elements.channelsLast(x, y, grid.batch(), channels, grid.tokens());
  }

  @Override
  public void channelsFirst(Buffer x, Buffer y, Grid grid, int channels) {
    elements.channelsFirst(x, y, grid.batch(), channels, grid.tokens());
  }

  @Override
  public void convolution(
      Buffer x, Buffer weight, @Nullable Buffer bias, Buffer y, Grid grid, Convolution shape) {
    providers.convolutions().forward(x, weight, Epilogue.of(bias), y, grid, shape);
  }

  @Override
  public void transposedConvolution(
      Buffer x, Buffer weight, Buffer y, Grid grid, Convolution shape) {
    transposedConvolution.forward(x, weight, null, y, grid, shape);
  }

  @Override
  public void matrixProduct(
      MatrixView a,
      boolean transposeA,
      MatrixView b,
      boolean transposeB,
      MatrixView c,
      boolean accumulate) {
    providers.products().product(a, transposeA, b, transposeB, c, accumulate);
  }

  @Override
  public void addBias(MatrixView x, Buffer bias) {
    columns.addBias(x, bias);
  }

  @Override
  public void layerNorm(
      Buffer x, Buffer gamma, Buffer beta, Buffer y, int channels, double epsilon) {
    layerNorm.forward(x, gamma, beta, y, channels, epsilon);
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
    groupNorm.forward(x, gamma, beta, y, grid, channels, groups, epsilon);
  }

  @Override
  public void batchNorm(Buffer x, ChannelNorm.Batch norm, Buffer y, int channels, double epsilon) {
    batchNorm.forward(x, norm, y, channels, epsilon);
  }

  @Override
  public void leakyRelu(Buffer x, Buffer y, double slope) {
    elements.leakyRelu(x, y, slope);
  }

  @Override
  public void softmax(Buffer x, Buffer y, int columns) {
    softmax.forward(x, y, columns);
  }

  @Override
  public void add(Buffer a, Buffer b, Buffer y) {
    elements.add(a, b, y);
  }

  @Override
  public void addScaled(Buffer a, Buffer gamma, Buffer b, Buffer y, int channels) {
    elements.addScaled(a, gamma, b, y, channels);
  }

  @Override
  public void scaleRuns(Buffer x, Buffer scales, long run) {
    elements.scaleRuns(x, scales, run);
  }

  @Override
  public void normalizeColumns(MatrixView x) {
    columns.normalize(x, null);
  }

  @Override
  public Plan plan(Supplier<Buffer> computation, List<Buffer> spent) {
    if (!probe.equals(Probe.NONE)) {
      throw new IllegalStateException("a plan shows a probe nothing");
    }
    try {
      return new CudaPlan(context, memory, computation);
    } catch (CudaException _) {
      return Backend.super.plan(computation, spent); // a library here cannot be recorded
    }
  }

  @Override
  public Optional<WindowEngine> windows(
      int channels, int classes, Extents patch, UnaryOperator<Buffer> network) {
    return Optional.of(new CudaWindowEngine(this, memory, channels, classes, patch, network));
  }

  @Override
  public void synchronize() {
    driver.synchronize(context.stream());
  }

  @Override
  public void close() {
    try (providers) {
      context.staging().close();
      memory.close();
    } finally {
      context.branches().close();
      driver.destroy(context.stream());
      driver.close();
    }
  }
}
