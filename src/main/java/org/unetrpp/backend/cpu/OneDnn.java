package org.unetrpp.backend.cpu;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import org.jspecify.annotations.Nullable;
import org.unetrpp.memory.HostMemory;

/**
 * The functions of oneDNN's C interface that this backend calls, and the two of the OpenMP runtime
 * that keep oneDNN on the calling thread. Handles and addresses travel as 64-bit integers. A status
 * other than success becomes an {@link IllegalStateException} that names the call.
 */
final class OneDnn {
  private static final int CPU = 1;
  private static final int IN_ORDER = 1;
  private static final int FLOAT32 = 3;
  private static final int FORWARD_TRAINING = 64;
  private static final int FORWARD_INFERENCE = 96;
  private static final int BACKWARD = 128;
  private static final int DIRECT = 1;
  private static final int SOFTMAX_ACCURATE = 0x30000;
  private static final int ELTWISE_RELU = 0x20;
  private static final int BINARY_ADD = 0x1fff0;
  private static final int USE_SCALE_AND_SHIFT = 6;
  private static final int SCRATCHPAD_OF_USER = 1;
  private static final int ANY_LAYOUT = 1;
  private static final int QUERY_IMPLEMENTATION = 8;
  private static final long NONE = 0;

  private static final MemoryLayout POINTER = JAVA_LONG;

  private final Linker linker = Linker.nativeLinker();
  private final SymbolLookup symbols;
  private final long engine;

  private final MethodHandle streamCreate;
  private final MethodHandle streamDestroy;
  private final MethodHandle descriptorWithTag;
  private final MethodHandle descriptorWithAnyTag;
  private final MethodHandle descriptorWithStrides;
  private final MethodHandle descriptorClone;
  private final MethodHandle descriptorDestroy;
  private final MethodHandle descriptorSize;
  private final MethodHandle convolution;
  private final MethodHandle convolutionBackwardData;
  private final MethodHandle convolutionBackwardWeights;
  private final MethodHandle matmul;
  private final MethodHandle softmax;
  private final MethodHandle softmaxBackward;
  private final MethodHandle layerNorm;
  private final MethodHandle layerNormBackward;
  private final MethodHandle reorder;
  private final MethodHandle attributesCreate;
  private final MethodHandle attributesDestroy;
  private final MethodHandle attributesScratchpad;
  private final MethodHandle attributesPostOps;
  private final MethodHandle postOpsCreate;
  private final MethodHandle postOpsDestroy;
  private final MethodHandle postOpsAdd;
  private final MethodHandle postOpsEltwise;
  private final MethodHandle primitiveCreate;
  private final MethodHandle primitiveDestroy;
  private final MethodHandle primitiveExecute;
  private final MethodHandle primitiveDescriptorDestroy;
  private final MethodHandle query;
  private final MethodHandle queryDescriptor;
  private final MethodHandle memoryCreate;
  private final MethodHandle memoryDestroy;
  private final MethodHandle memorySetAddress;
  private final MethodHandle sgemm;
  private final MethodHandle ompSetThreads;
  private final MethodHandle ompGetThreads;

  private static final class Holder {
    static final OneDnn INSTANCE = new OneDnn(NativeLibrary.load());
  }

  /**
   * The library, loaded on first use.
   *
   * @throws UnsatisfiedLinkError if it cannot be loaded
   */
  static OneDnn instance() {
    return Holder.INSTANCE;
  }

  private OneDnn(SymbolLookup symbols) {
    this.symbols = symbols;
    streamCreate = status("dnnl_stream_create", ADDRESS, POINTER, JAVA_INT);
    streamDestroy = status("dnnl_stream_destroy", POINTER);
    descriptorWithTag =
        status(
            "dnnl_memory_desc_create_with_string_tag",
            ADDRESS,
            JAVA_INT,
            ADDRESS,
            JAVA_INT,
            ADDRESS);
    descriptorWithAnyTag =
        status("dnnl_memory_desc_create_with_tag", ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT);
    descriptorWithStrides =
        status(
            "dnnl_memory_desc_create_with_strides", ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, ADDRESS);
    descriptorClone = status("dnnl_memory_desc_clone", ADDRESS, POINTER);
    descriptorDestroy = status("dnnl_memory_desc_destroy", POINTER);
    descriptorSize = function("dnnl_memory_desc_get_size", JAVA_LONG, POINTER);
    convolution =
        status(
            "dnnl_convolution_forward_primitive_desc_create",
            ADDRESS,
            POINTER,
            JAVA_INT,
            JAVA_INT,
            POINTER,
            POINTER,
            POINTER,
            POINTER,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            POINTER);
    convolutionBackwardData =
        status(
            "dnnl_convolution_backward_data_primitive_desc_create",
            ADDRESS,
            POINTER,
            JAVA_INT,
            POINTER,
            POINTER,
            POINTER,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            POINTER,
            POINTER);
    convolutionBackwardWeights =
        status(
            "dnnl_convolution_backward_weights_primitive_desc_create",
            ADDRESS,
            POINTER,
            JAVA_INT,
            POINTER,
            POINTER,
            POINTER,
            POINTER,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            POINTER,
            POINTER);
    matmul =
        status(
            "dnnl_matmul_primitive_desc_create",
            ADDRESS,
            POINTER,
            POINTER,
            POINTER,
            POINTER,
            POINTER,
            POINTER);
    softmax =
        status(
            "dnnl_softmax_forward_primitive_desc_create",
            ADDRESS,
            POINTER,
            JAVA_INT,
            JAVA_INT,
            POINTER,
            POINTER,
            JAVA_INT,
            POINTER);
    softmaxBackward =
        status(
            "dnnl_softmax_backward_primitive_desc_create",
            ADDRESS,
            POINTER,
            JAVA_INT,
            POINTER,
            POINTER,
            POINTER,
            JAVA_INT,
            POINTER,
            POINTER);
    layerNorm =
        status(
            "dnnl_layer_normalization_forward_primitive_desc_create",
            ADDRESS,
            POINTER,
            JAVA_INT,
            POINTER,
            POINTER,
            POINTER,
            JAVA_FLOAT,
            JAVA_INT,
            POINTER);
    layerNormBackward =
        status(
            "dnnl_layer_normalization_backward_primitive_desc_create",
            ADDRESS,
            POINTER,
            JAVA_INT,
            POINTER,
            POINTER,
            POINTER,
            POINTER,
            JAVA_FLOAT,
            JAVA_INT,
            POINTER,
            POINTER);
    reorder =
        status(
            "dnnl_reorder_primitive_desc_create",
            ADDRESS,
            POINTER,
            POINTER,
            POINTER,
            POINTER,
            POINTER);
    attributesCreate = status("dnnl_primitive_attr_create", ADDRESS);
    attributesDestroy = status("dnnl_primitive_attr_destroy", POINTER);
    attributesScratchpad = status("dnnl_primitive_attr_set_scratchpad_mode", POINTER, JAVA_INT);
    attributesPostOps = status("dnnl_primitive_attr_set_post_ops", POINTER, POINTER);
    postOpsCreate = status("dnnl_post_ops_create", ADDRESS);
    postOpsDestroy = status("dnnl_post_ops_destroy", POINTER);
    postOpsAdd = status("dnnl_post_ops_append_binary", POINTER, JAVA_INT, POINTER);
    postOpsEltwise =
        status("dnnl_post_ops_append_eltwise", POINTER, JAVA_INT, JAVA_FLOAT, JAVA_FLOAT);
    primitiveCreate = status("dnnl_primitive_create", ADDRESS, POINTER);
    primitiveDestroy = status("dnnl_primitive_destroy", POINTER);
    primitiveExecute = status("dnnl_primitive_execute", POINTER, POINTER, JAVA_INT, POINTER);
    primitiveDescriptorDestroy = status("dnnl_primitive_desc_destroy", POINTER);
    query = status("dnnl_primitive_desc_query", POINTER, JAVA_INT, JAVA_INT, ADDRESS);
    queryDescriptor =
        function("dnnl_primitive_desc_query_md", POINTER, POINTER, JAVA_INT, JAVA_INT);
    memoryCreate = status("dnnl_memory_create", ADDRESS, POINTER, POINTER, POINTER);
    memoryDestroy = status("dnnl_memory_destroy", POINTER);
    memorySetAddress = status("dnnl_memory_set_data_handle", POINTER, POINTER);
    sgemm =
        status(
            "dnnl_sgemm",
            JAVA_BYTE,
            JAVA_BYTE,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_FLOAT,
            POINTER,
            JAVA_LONG,
            POINTER,
            JAVA_LONG,
            JAVA_FLOAT,
            POINTER,
            JAVA_LONG);
    ompSetThreads = handle("omp_set_num_threads", FunctionDescriptor.ofVoid(JAVA_INT));
    ompGetThreads = function("omp_get_max_threads", JAVA_INT);
    engine = createEngine();
  }

  private long createEngine() {
    MethodHandle create = status("dnnl_engine_create", ADDRESS, JAVA_INT, JAVA_LONG);
    return created("dnnl_engine_create", out -> (int) create.invokeExact(out, CPU, 0L));
  }

  private MethodHandle status(String name, MemoryLayout... arguments) {
    return handle(name, FunctionDescriptor.of(JAVA_INT, arguments));
  }

  private MethodHandle function(String name, MemoryLayout result, MemoryLayout... arguments) {
    return handle(name, FunctionDescriptor.of(result, arguments));
  }

  @SuppressWarnings("restricted") // calling native code is what this class is for
  private MethodHandle handle(String name, FunctionDescriptor descriptor) {
    MemorySegment address =
        symbols
            .find(name)
            .orElseThrow(
                () -> new UnsatisfiedLinkError("the oneDNN on the class path has no " + name));
    return linker.downcallHandle(address, descriptor);
  }

  /** A call that may fail with anything, as method handles do. */
  private interface Call {
    int invoke() throws Throwable;
  }

  private interface Creation {
    int invoke(MemorySegment out) throws Throwable;
  }

  private static void check(String name, Call call) {
    int status;
    try {
      status = call.invoke();
    } catch (Throwable e) {
      throw unexpected(name, e);
    }
    if (status != 0) {
      throw new IllegalStateException(name + " failed: " + statusName(status));
    }
  }

  /** Calls a function that stores a handle. */
  private static long created(String name, Creation creation) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(JAVA_LONG);
      check(name, () -> creation.invoke(out));
      return out.get(JAVA_LONG, 0);
    }
  }

  private static RuntimeException unexpected(String name, Throwable e) {
    if (e instanceof Error error) {
      throw error;
    }
    return new IllegalStateException(name + " could not be called", e);
  }

  private static String statusName(int status) {
    return switch (status) {
      case 1 -> "out of memory";
      case 2 -> "invalid arguments";
      case 3 -> "unimplemented";
      case 4 -> "no implementation left";
      case 5 -> "runtime error";
      default -> "status " + status;
    };
  }

  /** Version of the library, as in {@code 3.11.0}. */
  String version() {
    MethodHandle version = function("dnnl_version", POINTER);
    try {
      MemorySegment numbers = HostMemory.segment((long) version.invokeExact(), 12);
      return "%d.%d.%d"
          .formatted(numbers.get(JAVA_INT, 0), numbers.get(JAVA_INT, 4), numbers.get(JAVA_INT, 8));
    } catch (Throwable e) {
      throw unexpected("dnnl_version", e);
    }
  }

  /** Whether the library uses AVX-512 here: the processor has it and nobody has ruled it out. */
  boolean hasAvx512() {
    return instructionSet().startsWith("avx512_core") || instructionSet().startsWith("avx10");
  }

  /** The instructions that the library uses on this machine, in its own terms. */
  String instructionSet() {
    int isa;
    try {
      isa = (int) function("dnnl_get_effective_cpu_isa", JAVA_INT).invokeExact();
    } catch (Throwable e) {
      throw unexpected("dnnl_get_effective_cpu_isa", e);
    }
    return switch (isa) {
      case 0 -> "default";
      case 0x1 -> "sse41";
      case 0x3 -> "avx";
      case 0x7 -> "avx2";
      case 0xf -> "avx2_vnni";
      case 0x1f -> "avx2_vnni_2";
      case 0x27 -> "avx512_core";
      case 0x67 -> "avx512_core_vnni";
      case 0xe7 -> "avx512_core_bf16";
      case 0x1ef -> "avx512_core_fp16";
      case 0xfef -> "avx512_core_amx";
      case 0x1fef -> "avx512_core_amx_fp16";
      default -> "isa 0x" + Integer.toHexString(isa);
    };
  }

  /**
   * Makes oneDNN run sequentially when the calling thread calls it.
   *
   * @return what {@link #restoreThreads} takes
   */
  int useOneThread() {
    try {
      int before = (int) ompGetThreads.invokeExact();
      ompSetThreads.invokeExact(1);
      return before;
    } catch (Throwable e) {
      throw unexpected("omp_set_num_threads", e);
    }
  }

  /** Gives the calling thread the OpenMP threads back that it had. */
  void restoreThreads(int before) {
    try {
      ompSetThreads.invokeExact(before);
    } catch (Throwable e) {
      throw unexpected("omp_set_num_threads", e);
    }
  }

  long createStream() {
    return created(
        "dnnl_stream_create", out -> (int) streamCreate.invokeExact(out, engine, IN_ORDER));
  }

  void destroyStream(long stream) {
    check("dnnl_stream_destroy", () -> (int) streamDestroy.invokeExact(stream));
  }

  /** Shape and layout of a float32 tensor; closing releases it. */
  final class Descriptor implements AutoCloseable {
    private final long handle;

    private Descriptor(long handle) {
      this.handle = handle;
    }

    /** Size of such a tensor. */
    long bytes() {
      try {
        return (long) descriptorSize.invokeExact(handle);
      } catch (Throwable e) {
        throw unexpected("dnnl_memory_desc_get_size", e);
      }
    }

    @Override
    public void close() {
      check("dnnl_memory_desc_destroy", () -> (int) descriptorDestroy.invokeExact(handle));
    }
  }

  /** A tensor in a named layout of oneDNN, such as {@code acdeb}: NCDHW stored channels last. */
  Descriptor tagged(String tag, long... dims) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment extents = arena.allocateFrom(JAVA_LONG, dims);
      MemorySegment name = arena.allocateFrom(tag);
      return new Descriptor(
          created(
              "dnnl_memory_desc_create_with_string_tag",
              out ->
                  (int) descriptorWithTag.invokeExact(out, dims.length, extents, FLOAT32, name)));
    }
  }

  /** A tensor in the layout that the primitive prefers. */
  Descriptor any(long... dims) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment extents = arena.allocateFrom(JAVA_LONG, dims);
      return new Descriptor(
          created(
              "dnnl_memory_desc_create_with_tag",
              out ->
                  (int)
                      descriptorWithAnyTag.invokeExact(
                          out, dims.length, extents, FLOAT32, ANY_LAYOUT)));
    }
  }

  /** A tensor with these steps, in elements, between neighbors along each axis. */
  Descriptor strided(long[] dims, long[] strides) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment extents = arena.allocateFrom(JAVA_LONG, dims);
      MemorySegment steps = arena.allocateFrom(JAVA_LONG, strides);
      return new Descriptor(
          created(
              "dnnl_memory_desc_create_with_strides",
              out ->
                  (int)
                      descriptorWithStrides.invokeExact(
                          out, dims.length, extents, FLOAT32, steps)));
    }
  }

  /** The same shape and layout, with a life of its own. */
  Descriptor copyOf(Descriptor descriptor) {
    return copyOf(descriptor.handle);
  }

  private Descriptor copyOf(long borrowed) {
    return new Descriptor(
        created("dnnl_memory_desc_clone", out -> (int) descriptorClone.invokeExact(out, borrowed)));
  }

  /** What a primitive does to its result before storing it. */
  sealed interface PostOp {
    /** Adds a tensor. */
    record Add(Descriptor tensor) implements PostOp {}

    /** LeakyReLU. */
    record LeakyRelu(float slope) implements PostOp {}
  }

  /** Attributes of a primitive: scratch memory from the caller, and what follows the operation. */
  private long attributes(PostOp... postOps) {
    long attributes =
        created("dnnl_primitive_attr_create", out -> (int) attributesCreate.invokeExact(out));
    check(
        "dnnl_primitive_attr_set_scratchpad_mode",
        () -> (int) attributesScratchpad.invokeExact(attributes, SCRATCHPAD_OF_USER));
    if (postOps.length > 0) {
      long chain = created("dnnl_post_ops_create", out -> (int) postOpsCreate.invokeExact(out));
      for (PostOp postOp : postOps) {
        append(chain, postOp);
      }
      check(
          "dnnl_primitive_attr_set_post_ops",
          () -> (int) attributesPostOps.invokeExact(attributes, chain));
      check("dnnl_post_ops_destroy", () -> (int) postOpsDestroy.invokeExact(chain));
    }
    return attributes;
  }

  private void append(long chain, PostOp postOp) {
    switch (postOp) {
      case PostOp.Add(Descriptor tensor) ->
          check(
              "dnnl_post_ops_append_binary",
              () -> (int) postOpsAdd.invokeExact(chain, BINARY_ADD, tensor.handle));
      case PostOp.LeakyRelu(float slope) ->
          check(
              "dnnl_post_ops_append_eltwise",
              () -> (int) postOpsEltwise.invokeExact(chain, ELTWISE_RELU, slope, 0f));
    }
  }

  /** What a primitive is made from; closing releases it, primitives made from it live on. */
  final class PrimitiveDescriptor implements AutoCloseable {
    private final long handle;

    private PrimitiveDescriptor(long handle) {
      this.handle = handle;
    }

    /** The library's name for the code that it chose. */
    String implementation() {
      return HostMemory.segment(
              created(
                  "dnnl_primitive_desc_query",
                  out -> (int) query.invokeExact(handle, QUERY_IMPLEMENTATION, 0, out)),
              256)
          .getString(0);
    }

    /** Layout of one argument. */
    Descriptor layout(Argument argument) {
      long borrowed;
      try {
        borrowed = (long) queryDescriptor.invokeExact(handle, argument.query, 0);
      } catch (Throwable e) {
        throw unexpected("dnnl_primitive_desc_query_md", e);
      }
      return copyOf(borrowed);
    }

    @Override
    public void close() {
      check(
          "dnnl_primitive_desc_destroy",
          () -> (int) primitiveDescriptorDestroy.invokeExact(handle));
    }
  }

  /** Arguments whose layout a primitive descriptor knows. */
  enum Argument {
    SOURCE(129),
    WEIGHTS(131),
    WEIGHTS_GRADIENT(132),
    DESTINATION(133),
    SCRATCHPAD(136);

    private final int query;

    Argument(int query) {
      this.query = query;
    }
  }

  private PrimitiveDescriptor described(String name, PostOp[] postOps, Described call) {
    long attributes = attributes(postOps);
    try {
      return new PrimitiveDescriptor(created(name, out -> call.invoke(out, attributes)));
    } finally {
      check("dnnl_primitive_attr_destroy", () -> (int) attributesDestroy.invokeExact(attributes));
    }
  }

  private interface Described {
    int invoke(MemorySegment out, long attributes) throws Throwable;
  }

  private static long handle(@Nullable Descriptor descriptor) {
    return descriptor == null ? NONE : descriptor.handle;
  }

  /**
   * Where the kernel of a convolution goes; one value for each axis.
   *
   * @param strides from one output to the next
   * @param before zeros in front
   * @param after zeros behind
   */
  record Window(long[] strides, long[] before, long[] after) {}

  /** A window in native memory. */
  private record Steps(
      MemorySegment strides, MemorySegment dilations, MemorySegment before, MemorySegment after) {
    static Steps of(Window window, Arena arena) {
      return new Steps(
          arena.allocateFrom(JAVA_LONG, window.strides),
          arena.allocate(JAVA_LONG, window.strides.length),
          arena.allocateFrom(JAVA_LONG, window.before),
          arena.allocateFrom(JAVA_LONG, window.after));
    }
  }

  /** A direct convolution. */
  PrimitiveDescriptor convolution(
      Descriptor source,
      Descriptor weights,
      @Nullable Descriptor bias,
      Descriptor destination,
      Window window,
      PostOp... postOps) {
    return convolution(FORWARD_INFERENCE, source, weights, bias, destination, window, postOps);
  }

  private PrimitiveDescriptor convolution(
      int propagation,
      Descriptor source,
      Descriptor weights,
      @Nullable Descriptor bias,
      Descriptor destination,
      Window window,
      PostOp... postOps) {
    try (Arena arena = Arena.ofConfined()) {
      Steps steps = Steps.of(window, arena);
      return described(
          "dnnl_convolution_forward_primitive_desc_create",
          postOps,
          (out, attributes) ->
              (int)
                  convolution.invokeExact(
                      out,
                      engine,
                      propagation,
                      DIRECT,
                      source.handle,
                      weights.handle,
                      handle(bias),
                      destination.handle,
                      steps.strides,
                      steps.dilations,
                      steps.before,
                      steps.after,
                      attributes));
    }
  }

  /** The gradient of a convolution's source. */
  PrimitiveDescriptor convolutionBackwardData(
      Descriptor source, Descriptor weights, Descriptor destination, Window window) {
    try (Arena arena = Arena.ofConfined();
        PrimitiveDescriptor forward =
            convolution(FORWARD_TRAINING, source, weights, null, destination, window)) {
      Steps steps = Steps.of(window, arena);
      return described(
          "dnnl_convolution_backward_data_primitive_desc_create",
          new PostOp[0],
          (out, attributes) ->
              (int)
                  convolutionBackwardData.invokeExact(
                      out,
                      engine,
                      DIRECT,
                      source.handle,
                      weights.handle,
                      destination.handle,
                      steps.strides,
                      steps.dilations,
                      steps.before,
                      steps.after,
                      forward.handle,
                      attributes));
    }
  }

  /** The gradient of a convolution's weights. */
  PrimitiveDescriptor convolutionBackwardWeights(
      Descriptor source, Descriptor weights, Descriptor destination, Window window) {
    try (Arena arena = Arena.ofConfined();
        PrimitiveDescriptor forward =
            convolution(FORWARD_TRAINING, source, weights, null, destination, window)) {
      Steps steps = Steps.of(window, arena);
      return described(
          "dnnl_convolution_backward_weights_primitive_desc_create",
          new PostOp[0],
          (out, attributes) ->
              (int)
                  convolutionBackwardWeights.invokeExact(
                      out,
                      engine,
                      DIRECT,
                      source.handle,
                      weights.handle,
                      NONE,
                      destination.handle,
                      steps.strides,
                      steps.dilations,
                      steps.before,
                      steps.after,
                      forward.handle,
                      attributes));
    }
  }

  /** A product of matrices, or of as many as there are along the leading axis. */
  PrimitiveDescriptor matmul(
      Descriptor source,
      Descriptor weights,
      @Nullable Descriptor bias,
      Descriptor destination,
      PostOp... postOps) {
    return described(
        "dnnl_matmul_primitive_desc_create",
        postOps,
        (out, attributes) ->
            (int)
                matmul.invokeExact(
                    out,
                    engine,
                    source.handle,
                    weights.handle,
                    handle(bias),
                    destination.handle,
                    attributes));
  }

  /** Softmax along one axis, in place. */
  PrimitiveDescriptor softmax(Descriptor tensor, int axis) {
    return described(
        "dnnl_softmax_forward_primitive_desc_create",
        new PostOp[0],
        (out, attributes) ->
            (int)
                softmax.invokeExact(
                    out,
                    engine,
                    FORWARD_INFERENCE,
                    SOFTMAX_ACCURATE,
                    tensor.handle,
                    tensor.handle,
                    axis,
                    attributes));
  }

  /** The gradient of softmax along one axis, from its result, in place. */
  PrimitiveDescriptor softmaxBackward(Descriptor tensor, int axis) {
    try (PrimitiveDescriptor forward = softmax(tensor, axis)) {
      return described(
          "dnnl_softmax_backward_primitive_desc_create",
          new PostOp[0],
          (out, attributes) ->
              (int)
                  softmaxBackward.invokeExact(
                      out,
                      engine,
                      SOFTMAX_ACCURATE,
                      tensor.handle,
                      tensor.handle,
                      tensor.handle,
                      axis,
                      forward.handle,
                      attributes));
    }
  }

  /** Layer normalization along the last axis, with scale and shift. */
  PrimitiveDescriptor layerNorm(Descriptor tensor, float epsilon) {
    return layerNorm(FORWARD_INFERENCE, tensor, null, epsilon);
  }

  /** The same, which also leaves mean and variance of each row. */
  PrimitiveDescriptor layerNormForTraining(
      Descriptor tensor, Descriptor statistics, float epsilon) {
    return layerNorm(FORWARD_TRAINING, tensor, statistics, epsilon);
  }

  private PrimitiveDescriptor layerNorm(
      int propagation, Descriptor tensor, @Nullable Descriptor statistics, float epsilon) {
    return described(
        "dnnl_layer_normalization_forward_primitive_desc_create",
        new PostOp[0],
        (out, attributes) ->
            (int)
                layerNorm.invokeExact(
                    out,
                    engine,
                    propagation,
                    tensor.handle,
                    tensor.handle,
                    handle(statistics),
                    epsilon,
                    USE_SCALE_AND_SHIFT,
                    attributes));
  }

  /** The gradients of layer normalization's source, scale and shift. */
  PrimitiveDescriptor layerNormBackward(Descriptor tensor, Descriptor statistics, float epsilon) {
    try (PrimitiveDescriptor forward = layerNormForTraining(tensor, statistics, epsilon)) {
      return described(
          "dnnl_layer_normalization_backward_primitive_desc_create",
          new PostOp[0],
          (out, attributes) ->
              (int)
                  layerNormBackward.invokeExact(
                      out,
                      engine,
                      BACKWARD,
                      tensor.handle,
                      tensor.handle,
                      tensor.handle,
                      statistics.handle,
                      epsilon,
                      USE_SCALE_AND_SHIFT,
                      forward.handle,
                      attributes));
    }
  }

  /** A copy to another layout. */
  PrimitiveDescriptor reorder(Descriptor from, Descriptor to) {
    return described(
        "dnnl_reorder_primitive_desc_create",
        new PostOp[0],
        (out, attributes) ->
            (int) reorder.invokeExact(out, from.handle, engine, to.handle, engine, attributes));
  }

  long createPrimitive(PrimitiveDescriptor descriptor) {
    return created(
        "dnnl_primitive_create", out -> (int) primitiveCreate.invokeExact(out, descriptor.handle));
  }

  void destroyPrimitive(long primitive) {
    check("dnnl_primitive_destroy", () -> (int) primitiveDestroy.invokeExact(primitive));
  }

  /** Runs a primitive on the calling thread and returns when it is done. */
  void execute(long primitive, long stream, int count, long arguments) {
    int status;
    try {
      status = (int) primitiveExecute.invokeExact(primitive, stream, count, arguments);
    } catch (Throwable e) {
      throw unexpected("dnnl_primitive_execute", e);
    }
    if (status != 0) {
      throw new IllegalStateException("dnnl_primitive_execute failed: " + statusName(status));
    }
  }

  /** A view of memory that {@link #setAddress} points somewhere. */
  long createMemory(Descriptor descriptor) {
    return created(
        "dnnl_memory_create",
        out -> (int) memoryCreate.invokeExact(out, descriptor.handle, engine, NONE));
  }

  void destroyMemory(long memory) {
    check("dnnl_memory_destroy", () -> (int) memoryDestroy.invokeExact(memory));
  }

  void setAddress(long memory, long address) {
    int status;
    try {
      status = (int) memorySetAddress.invokeExact(memory, address);
    } catch (Throwable e) {
      throw unexpected("dnnl_memory_set_data_handle", e);
    }
    if (status != 0) {
      throw new IllegalStateException("dnnl_memory_set_data_handle: " + statusName(status));
    }
  }

  /** An operand of {@link #sgemm}: its address, whether it is transposed, and its row stride. */
  record Operand(long address, boolean transposed, long rowStride) {
    static Operand plain(long address, long rowStride) {
      return new Operand(address, false, rowStride);
    }

    static Operand transposed(long address, long rowStride) {
      return new Operand(address, true, rowStride);
    }
  }

  /**
   * {@code c = op(a) op(b)}, or {@code c += op(a) op(b)}, of row-major matrices on the calling
   * thread.
   */
  void sgemm(
      int rows,
      int columns,
      int inner,
      Operand a,
      Operand b,
      long c,
      long rowStride,
      boolean accumulate) {
    byte plain = (byte) 'N';
    byte transposed = (byte) 'T';
    sgemm(
        a.transposed() ? transposed : plain,
        b.transposed() ? transposed : plain,
        rows,
        columns,
        inner,
        a.address(),
        a.rowStride(),
        b.address(),
        b.rowStride(),
        c,
        rowStride,
        accumulate);
  }

  /** The product {@code c = a b}, or {@code c += a b}; makes no objects. */
  void plainProduct(
      int rows,
      int columns,
      int inner,
      long a,
      long aStride,
      long b,
      long bStride,
      long c,
      long cStride,
      boolean accumulate) {
    sgemm(
        (byte) 'N',
        (byte) 'N',
        rows,
        columns,
        inner,
        a,
        aStride,
        b,
        bStride,
        c,
        cStride,
        accumulate);
  }

  /** The product {@code c = a b^T}, or {@code c += a b^T}; makes no objects. */
  void productOfRows(
      int rows,
      int columns,
      int inner,
      long a,
      long aStride,
      long b,
      long bStride,
      long c,
      long cStride,
      boolean accumulate) {
    sgemm(
        (byte) 'N',
        (byte) 'T',
        rows,
        columns,
        inner,
        a,
        aStride,
        b,
        bStride,
        c,
        cStride,
        accumulate);
  }

  /** The product {@code c = a^T b}; makes no objects. */
  void productOfColumns(
      int rows,
      int columns,
      int inner,
      long a,
      long aStride,
      long b,
      long bStride,
      long c,
      long cStride) {
    sgemm((byte) 'T', (byte) 'N', rows, columns, inner, a, aStride, b, bStride, c, cStride, false);
  }

  private void sgemm(
      byte aCode,
      byte bCode,
      int rows,
      int columns,
      int inner,
      long a,
      long aStride,
      long b,
      long bStride,
      long c,
      long cStride,
      boolean accumulate) {
    int status;
    try {
      status =
          (int)
              sgemm.invokeExact(
                  aCode,
                  bCode,
                  (long) rows,
                  (long) columns,
                  (long) inner,
                  1f,
                  a,
                  aStride,
                  b,
                  bStride,
                  accumulate ? 1f : 0f,
                  c,
                  cStride);
    } catch (Throwable e) {
      throw unexpected("dnnl_sgemm", e);
    }
    if (status != 0) {
      throw new IllegalStateException(
          "dnnl_sgemm of %d x %d x %d failed: %s"
              .formatted(rows, columns, inner, statusName(status)));
    }
  }
}
