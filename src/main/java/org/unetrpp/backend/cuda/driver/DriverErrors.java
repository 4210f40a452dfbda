package org.unetrpp.backend.cuda.driver;

import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/** What the driver's codes mean, in its own words. */
final class DriverErrors {
  private DriverErrors() {}

  /** As in {@code CUDA_ERROR_INVALID_VALUE (1), invalid argument}. */
  static String text(int code) {
    String[] name = new String[1];
    String[] text = new String[1];
    JCudaDriver.cuGetErrorName(code, name);
    JCudaDriver.cuGetErrorString(code, text);
    return name[0] == null
        ? "unknown code " + code
        : "%s (%d), %s".formatted(name[0], code, text[0]);
  }

  /** Does nothing if all went well. */
  static void check(int code, String call) {
    if (code != CUresult.CUDA_SUCCESS) {
      throw new CudaException(call + ": " + text(code));
    }
  }
}
