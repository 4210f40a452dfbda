package org.unetrpp.backend.cuda.natives;

import java.util.Optional;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;
import jcuda.jcublas.JCublas2;
import jcuda.jcudnn.JCudnn;
import jcuda.nvrtc.JNvrtc;

/**
 * What loaded libraries say of themselves. Only functions are called that every version has: a call
 * of one that a library lacks ends the process. Of cuDNN these are {@code cudnnGetVersion} and
 * {@code cudnnGetCudartVersion}; the 54 functions that JCudnn knows and cuDNN 9 lacks are those of
 * recurrent networks before version 8, of algorithm objects, and {@code cudnn...VersionCheck}.
 */
final class LibraryCalls {
  private static final int THOUSAND = 1000;
  private static final int FIRST_OF_CUDNN_9 = 90_000;

  private LibraryCalls() {}

  /** Starts the driver; says why that is impossible, or nothing. */
  static Optional<String> startDriver() {
    int result = JCudaDriver.cuInit(0);
    return switch (result) {
      case CUresult.CUDA_SUCCESS -> Optional.empty();
      case CUresult.CUDA_ERROR_NO_DEVICE -> Optional.of("the driver finds no NVIDIA GPU");
      default -> Optional.of("the driver does not start: " + driverText(result));
    };
  }

  private static String driverText(int result) {
    String[] name = new String[1];
    String[] text = new String[1];
    JCudaDriver.cuGetErrorName(result, name);
    JCudaDriver.cuGetErrorString(result, text);
    return "%s (%d), %s".formatted(name[0], result, text[0]);
  }

  /** Version of CUDA that the driver can run, as 13000 for 13.0. */
  static int driverVersion() {
    int[] version = new int[1];
    JCudaDriver.cuDriverGetVersion(version);
    return version[0];
  }

  /** A library's version, as 13.0.2. */
  static String version(CudaLibrary library) {
    return switch (library) {
      case DRIVER -> cudaVersion(driverVersion());
      case NVRTC -> {
        int[] major = new int[1];
        int[] minor = new int[1];
        JNvrtc.nvrtcVersion(major, minor);
        yield major[0] + "." + minor[0];
      }
      case CUBLAS -> "%d.%d.%d".formatted(cublas(0), cublas(1), cublas(2));
      case CUDNN -> cudnnVersion(JCudnn.cudnnGetVersion());
    };
  }

  /** Major version of CUDA that cuDNN was made for. */
  static int cudaMajorOfCudnn() {
    return Math.toIntExact(JCudnn.cudnnGetCudartVersion() / THOUSAND);
  }

  private static int cublas(int part) {
    int[] value = new int[1];
    JCublas2.cublasGetProperty(part, value);
    return value[0];
  }

  /** As 13.0 for 13000. */
  static String cudaVersion(int number) {
    return number / THOUSAND + "." + number % THOUSAND / 10;
  }

  /** As 8.9.7 for 8907 and 9.10.2 for 91002: the number got a digit longer with version 9. */
  static String cudnnVersion(long number) {
    long ofMajor = number < FIRST_OF_CUDNN_9 ? THOUSAND : 10_000;
    return "%d.%d.%d".formatted(number / ofMajor, number % ofMajor / 100, number % 100);
  }
}
