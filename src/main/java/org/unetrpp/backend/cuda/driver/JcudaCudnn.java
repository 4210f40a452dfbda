package org.unetrpp.backend.cuda.driver;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import jcuda.Pointer;
import jcuda.jcudnn.JCudnn;
import jcuda.jcudnn.cudnnConvolutionBwdDataAlgo;
import jcuda.jcudnn.cudnnConvolutionBwdDataAlgoPerf;
import jcuda.jcudnn.cudnnConvolutionBwdFilterAlgo;
import jcuda.jcudnn.cudnnConvolutionBwdFilterAlgoPerf;
import jcuda.jcudnn.cudnnConvolutionDescriptor;
import jcuda.jcudnn.cudnnConvolutionFwdAlgo;
import jcuda.jcudnn.cudnnConvolutionFwdAlgoPerf;
import jcuda.jcudnn.cudnnConvolutionMode;
import jcuda.jcudnn.cudnnDataType;
import jcuda.jcudnn.cudnnDeterminism;
import jcuda.jcudnn.cudnnFilterDescriptor;
import jcuda.jcudnn.cudnnHandle;
import jcuda.jcudnn.cudnnMathType;
import jcuda.jcudnn.cudnnTensorDescriptor;
import jcuda.jcudnn.cudnnTensorFormat;
import jcuda.runtime.cudaStream_t;
import org.unetrpp.memory.DType;

/**
 * cuDNN through JCuda. Calls only what versions 8 and 9 both have: a call of what the library lacks
 * would end the process.
 */
public final class JcudaCudnn implements Cudnn {
  private static final int SUCCESS = 0;
  private static final int[] NO_DILATION = {1, 1, 1};
  private static final int TRIES = 2; // of each algorithm: with and without tensor cores

  private final JcudaStream stream;
  private final cudnnHandle handle = new cudnnHandle();
  private final Pointer one = Pointer.to(new float[] {1});
  private final Pointer zero = Pointer.to(new float[] {0});
  private final Pointer none = new Pointer();

  /**
   * Opens the library.
   *
   * @throws CudaException if the library refuses
   */
  public JcudaCudnn(JcudaStream stream) {
    this.stream = stream;
    stream.enter();
    check("cudnnCreate", JCudnn.cudnnCreate(handle));
    try {
      check("cudnnSetStream", JCudnn.cudnnSetStream(handle, new cudaStream_t(stream.handle())));
    } catch (RuntimeException e) {
      JCudnn.cudnnDestroy(handle);
      throw e;
    }
  }

  /** Descriptors of one direction. */
  private static final class Descriptors implements Plan {
    private final Direction direction;
    private final int mathType;
    private final cudnnTensorDescriptor x = new cudnnTensorDescriptor();
    private final cudnnFilterDescriptor weight = new cudnnFilterDescriptor();
    private final cudnnTensorDescriptor y = new cudnnTensorDescriptor();
    private final cudnnConvolutionDescriptor convolution = new cudnnConvolutionDescriptor();
    private final List<Runnable> destroyers = new ArrayList<>();

    Descriptors(Direction direction, int mathType) {
      this.direction = direction;
      this.mathType = mathType;
    }

    void create() {
      check("cudnnCreateTensorDescriptor", JCudnn.cudnnCreateTensorDescriptor(x));
      destroyers.add(() -> JCudnn.cudnnDestroyTensorDescriptor(x));
      check("cudnnCreateTensorDescriptor", JCudnn.cudnnCreateTensorDescriptor(y));
      destroyers.add(() -> JCudnn.cudnnDestroyTensorDescriptor(y));
      check("cudnnCreateFilterDescriptor", JCudnn.cudnnCreateFilterDescriptor(weight));
      destroyers.add(() -> JCudnn.cudnnDestroyFilterDescriptor(weight));
      check(
          "cudnnCreateConvolutionDescriptor", JCudnn.cudnnCreateConvolutionDescriptor(convolution));
      destroyers.add(() -> JCudnn.cudnnDestroyConvolutionDescriptor(convolution));
    }

    void destroy() {
      destroyers.forEach(Runnable::run);
      destroyers.clear();
    }
  }

  @Override
  public long version() {
    return JCudnn.cudnnGetVersion();
  }

  @Override
  public Plan plan(Direction direction, Shape shape, Precision precision) {
    Descriptors plan = new Descriptors(direction, mathType(shape.dtype(), precision));
    try {
      plan.create();
      describe(plan, shape);
    } catch (RuntimeException e) {
      plan.destroy();
      throw e;
    }
    return plan;
  }

  private static void describe(Descriptors plan, Shape shape) {
    int type = dataType(shape.dtype());
    check(
        "cudnnSetTensorNdDescriptor of x",
        JCudnn.cudnnSetTensorNdDescriptor(
            plan.x, type, shape.x().length, shape.x(), shape.xStrides()));
    check(
        "cudnnSetTensorNdDescriptor of y",
        JCudnn.cudnnSetTensorNdDescriptor(
            plan.y, type, shape.y().length, shape.y(), shape.yStrides()));
    check(
        "cudnnSetFilterNdDescriptor",
        JCudnn.cudnnSetFilterNdDescriptor(
            plan.weight,
            type,
            cudnnTensorFormat.CUDNN_TENSOR_NHWC,
            shape.weight().length,
            shape.weight()));
    check(
        "cudnnSetConvolutionNdDescriptor",
        JCudnn.cudnnSetConvolutionNdDescriptor(
            plan.convolution,
            shape.padding().length,
            shape.padding(),
            shape.stride(),
            NO_DILATION,
            cudnnConvolutionMode.CUDNN_CROSS_CORRELATION,
            cudnnDataType.CUDNN_DATA_FLOAT));
    check(
        "cudnnSetConvolutionMathType",
        JCudnn.cudnnSetConvolutionMathType(plan.convolution, plan.mathType));
  }

  private static int mathType(DType dtype, Precision precision) {
    if (dtype == DType.BFLOAT16) {
      return cudnnMathType.CUDNN_TENSOR_OP_MATH;
    }
    return switch (precision) {
      case FLOAT32 -> cudnnMathType.CUDNN_FMA_MATH;
      case TENSOR_FLOAT32 -> cudnnMathType.CUDNN_DEFAULT_MATH;
    };
  }

  private static int dataType(DType dtype) {
    return switch (dtype) {
      case FLOAT32 -> cudnnDataType.CUDNN_DATA_FLOAT;
      case BFLOAT16 -> cudnnDataType.CUDNN_DATA_BFLOAT16;
      case FLOAT64, FLOAT16 ->
          throw new IllegalArgumentException("convolution of " + dtype + ", expected f32 or bf16");
    };
  }

  @Override
  public void destroy(Plan plan) {
    ((Descriptors) plan).destroy();
  }

  @Override
  public int algorithms(Direction direction) {
    return switch (direction) {
      case FORWARD -> cudnnConvolutionFwdAlgo.CUDNN_CONVOLUTION_FWD_ALGO_COUNT;
      case BACKWARD_DATA -> cudnnConvolutionBwdDataAlgo.CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT;
      case BACKWARD_WEIGHTS ->
          cudnnConvolutionBwdFilterAlgo.CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT;
    };
  }

  @Override
  public long workspaceBytes(Plan plan, int algorithm) {
    Descriptors p = (Descriptors) plan;
    long[] bytes = new long[1];
    int status =
        switch (p.direction) {
          case FORWARD ->
              JCudnn.cudnnGetConvolutionForwardWorkspaceSize(
                  handle, p.x, p.weight, p.convolution, p.y, algorithm, bytes);
          case BACKWARD_DATA ->
              JCudnn.cudnnGetConvolutionBackwardDataWorkspaceSize(
                  handle, p.weight, p.y, p.convolution, p.x, algorithm, bytes);
          case BACKWARD_WEIGHTS ->
              JCudnn.cudnnGetConvolutionBackwardFilterWorkspaceSize(
                  handle, p.x, p.y, p.convolution, p.weight, algorithm, bytes);
        };
    return status == SUCCESS ? bytes[0] : -1;
  }

  @Override
  public List<Measured> measure(
      Plan plan, long x, long weight, long y, long workspace, long workspaceBytes) {
    stream.enter();
    Descriptors p = (Descriptors) plan;
    Pointer xPointer = new DeviceAddress(x);
    Pointer weightPointer = new DeviceAddress(weight);
    Pointer yPointer = new DeviceAddress(y);
    Pointer workspacePointer = pointer(workspace);
    int[] count = new int[1];
    int wanted = TRIES * algorithms(p.direction);
    List<Result> results = new ArrayList<>();
    switch (p.direction) {
      case FORWARD -> {
        var found = new cudnnConvolutionFwdAlgoPerf[wanted];
        check(
            "cudnnFindConvolutionForwardAlgorithmEx",
            JCudnn.cudnnFindConvolutionForwardAlgorithmEx(
                handle,
                p.x,
                xPointer,
                p.weight,
                weightPointer,
                p.convolution,
                p.y,
                yPointer,
                wanted,
                count,
                found,
                workspacePointer,
                workspaceBytes));
        for (int i = 0; i < count[0]; i++) {
          var f = found[i];
          results.add(new Result(f.algo, f.status, f.time, f.determinism, f.mathType));
        }
      }
      case BACKWARD_DATA -> {
        var found = new cudnnConvolutionBwdDataAlgoPerf[wanted];
        check(
            "cudnnFindConvolutionBackwardDataAlgorithmEx",
            JCudnn.cudnnFindConvolutionBackwardDataAlgorithmEx(
                handle,
                p.weight,
                weightPointer,
                p.y,
                yPointer,
                p.convolution,
                p.x,
                xPointer,
                wanted,
                count,
                found,
                workspacePointer,
                workspaceBytes));
        for (int i = 0; i < count[0]; i++) {
          var f = found[i];
          results.add(new Result(f.algo, f.status, f.time, f.determinism, f.mathType));
        }
      }
      case BACKWARD_WEIGHTS -> {
        var found = new cudnnConvolutionBwdFilterAlgoPerf[wanted];
        check(
            "cudnnFindConvolutionBackwardFilterAlgorithmEx",
            JCudnn.cudnnFindConvolutionBackwardFilterAlgorithmEx(
                handle,
                p.x,
                xPointer,
                p.y,
                yPointer,
                p.convolution,
                p.weight,
                weightPointer,
                wanted,
                count,
                found,
                workspacePointer,
                workspaceBytes));
        for (int i = 0; i < count[0]; i++) {
          var f = found[i];
          results.add(new Result(f.algo, f.status, f.time, f.determinism, f.mathType));
        }
      }
    }
    return usable(results, p.mathType);
  }

  /** What was found of one algorithm with or without tensor cores. */
  private record Result(int algorithm, int status, float millis, int determinism, int mathType) {}

  /** Each algorithm that works, as measured with the plan's own kind of products if it was. */
  private static List<Measured> usable(List<Result> results, int mathType) {
    Map<Integer, Result> byAlgorithm = new TreeMap<>();
    for (Result result : results) {
      if (result.status() == SUCCESS
          && result.mathType() != cudnnMathType.CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION
          && (result.mathType() == mathType || !byAlgorithm.containsKey(result.algorithm()))) {
        byAlgorithm.put(result.algorithm(), result);
      }
    }
    return byAlgorithm.values().stream()
        .map(result ->
            new Measured(
                result.algorithm(),
                result.millis(),
                result.determinism() == cudnnDeterminism.CUDNN_DETERMINISTIC))
        .sorted(Comparator.comparingDouble(Measured::millis))
        .toList();
  }

  @Override
  public void run(
      Plan plan, int algorithm, long x, long weight, long y, long workspace, long workspaceBytes) {
    stream.enter();
    Descriptors p = (Descriptors) plan;
    Pointer xPointer = new DeviceAddress(x);
    Pointer weightPointer = new DeviceAddress(weight);
    Pointer yPointer = new DeviceAddress(y);
    Pointer workspacePointer = pointer(workspace);
    switch (p.direction) {
      case FORWARD ->
          check(
              "cudnnConvolutionForward",
              JCudnn.cudnnConvolutionForward(
                  handle,
                  one,
                  p.x,
                  xPointer,
                  p.weight,
                  weightPointer,
                  p.convolution,
                  algorithm,
                  workspacePointer,
                  workspaceBytes,
                  zero,
                  p.y,
                  yPointer));
      case BACKWARD_DATA ->
          check(
              "cudnnConvolutionBackwardData",
              JCudnn.cudnnConvolutionBackwardData(
                  handle,
                  one,
                  p.weight,
                  weightPointer,
                  p.y,
                  yPointer,
                  p.convolution,
                  algorithm,
                  workspacePointer,
                  workspaceBytes,
                  zero,
                  p.x,
                  xPointer));
      case BACKWARD_WEIGHTS ->
          check(
              "cudnnConvolutionBackwardFilter",
              JCudnn.cudnnConvolutionBackwardFilter(
                  handle,
                  one,
                  p.x,
                  xPointer,
                  p.y,
                  yPointer,
                  p.convolution,
                  algorithm,
                  workspacePointer,
                  workspaceBytes,
                  zero,
                  p.weight,
                  weightPointer));
    }
  }

  private Pointer pointer(long address) {
    return address == 0 ? none : new DeviceAddress(address);
  }

  @Override
  public void close() {
    stream.enter();
    check("cudnnDestroy", JCudnn.cudnnDestroy(handle));
  }

  /** By the library's own words: version 9 has other codes than the ones that JCuda knows. */
  private static void check(String call, int status) {
    if (status != SUCCESS) {
      throw new CudaException(
          "%s: code %d, %s".formatted(call, status, JCudnn.cudnnGetErrorString(status)));
    }
  }
}
