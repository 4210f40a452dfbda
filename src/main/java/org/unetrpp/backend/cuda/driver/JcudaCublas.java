package org.unetrpp.backend.cuda.driver;

import jcuda.Pointer;
import jcuda.cudaDataType;
import jcuda.jcublas.JCublas2;
import jcuda.jcublas.cublasAtomicsMode;
import jcuda.jcublas.cublasComputeType;
import jcuda.jcublas.cublasGemmAlgo;
import jcuda.jcublas.cublasHandle;
import jcuda.jcublas.cublasMath;
import jcuda.jcublas.cublasOperation;
import jcuda.jcublas.cublasPointerMode;
import jcuda.runtime.cudaStream_t;
import org.unetrpp.memory.DType;

/** cuBLAS through JCuda. */
public final class JcudaCublas implements Cublas {
  private static final long WORKSPACE_BYTES = 32L << 20; // what NVIDIA advises for sm_90
  private static final int SUCCESS = 0;

  private final CudaDriver driver;
  private final JcudaStream stream;
  private final cublasHandle handle = new cublasHandle();
  private final long workspace;
  private final Pointer one = Pointer.to(new float[] {1});
  private final Pointer zero = Pointer.to(new float[] {0});

  /**
   * Opens the library.
   *
   * @param driver of the workspace
   * @throws CudaException if the library refuses
   */
  public JcudaCublas(CudaDriver driver, JcudaStream stream, Precision precision) {
    this.driver = driver;
    this.stream = stream;
    stream.enter();
    check("cublasCreate", JCublas2.cublasCreate(handle));
    long allocated = 0;
    try {
      // A new stream takes the workspace away, so it comes first. Work of a workspace of its own
      // adds in the same order every time.
      check("cublasSetStream", JCublas2.cublasSetStream(handle, new cudaStream_t(stream.handle())));
      allocated = driver.allocate(WORKSPACE_BYTES);
      check(
          "cublasSetWorkspace",
          JCublas2.cublasSetWorkspace(handle, new DeviceAddress(allocated), WORKSPACE_BYTES));
      check(
          "cublasSetAtomicsMode",
          JCublas2.cublasSetAtomicsMode(handle, cublasAtomicsMode.CUBLAS_ATOMICS_NOT_ALLOWED));
      check(
          "cublasSetPointerMode",
          JCublas2.cublasSetPointerMode(handle, cublasPointerMode.CUBLAS_POINTER_MODE_HOST));
      check("cublasSetMathMode", JCublas2.cublasSetMathMode(handle, mathMode(precision)));
    } catch (RuntimeException e) {
      JCublas2.cublasDestroy(handle);
      if (allocated != 0) {
        driver.free(allocated);
      }
      throw e;
    }
    workspace = allocated;
  }

  private static int mathMode(Precision precision) {
    int products =
        switch (precision) {
          case FLOAT32 -> cublasMath.CUBLAS_DEFAULT_MATH;
          case TENSOR_FLOAT32 -> cublasMath.CUBLAS_TF32_TENSOR_OP_MATH;
        };
    return products | cublasMath.CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
  }

  @Override
  public int version() {
    int[] version = new int[1];
    check("cublasGetVersion", JCublas2.cublasGetVersion(handle, version));
    return version[0];
  }

  @Override
  public void multiply(
      boolean transposeA,
      boolean transposeB,
      int m,
      int n,
      int k,
      Matrix a,
      Matrix b,
      Matrix c,
      boolean accumulate) {
    stream.enter();
    // The native of JCublas2.cublasGemmEx is exported under a name that Java does not look for.
    check(
        "cublasGemmEx",
        JCublas2.cublasGemmEx_new(
            handle,
            operation(transposeA),
            operation(transposeB),
            m,
            n,
            k,
            one,
            new DeviceAddress(a.address()),
            dataType(a.dtype()),
            a.leadingDimension(),
            new DeviceAddress(b.address()),
            dataType(b.dtype()),
            b.leadingDimension(),
            accumulate ? one : zero,
            new DeviceAddress(c.address()),
            dataType(c.dtype()),
            c.leadingDimension(),
            cublasComputeType.CUBLAS_COMPUTE_32F,
            cublasGemmAlgo.CUBLAS_GEMM_DEFAULT));
  }

  private static int operation(boolean transpose) {
    return transpose ? cublasOperation.CUBLAS_OP_T : cublasOperation.CUBLAS_OP_N;
  }

  private static int dataType(DType dtype) {
    return switch (dtype) {
      case FLOAT32 -> cudaDataType.CUDA_R_32F;
      case BFLOAT16 -> cudaDataType.CUDA_R_16BF;
      case FLOAT64, FLOAT16 ->
          throw new IllegalArgumentException("matrix of " + dtype + ", expected f32 or bf16");
    };
  }

  @Override
  public void close() {
    stream.enter();
    try {
      check("cublasDestroy", JCublas2.cublasDestroy(handle));
    } finally {
      driver.free(workspace);
    }
  }

  private static void check(String call, int status) {
    if (status != SUCCESS) {
      throw new CudaException(
          "%s: code %d, %s".formatted(call, status, JCublas2.cublasGetStatusString(status)));
    }
  }
}
