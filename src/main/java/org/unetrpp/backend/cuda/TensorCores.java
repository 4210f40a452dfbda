package org.unetrpp.backend.cuda;

import org.unetrpp.backend.cuda.driver.CudaDriver;

/** Own kernels that multiply bfloat16 on tensor cores. */
final class TensorCores {
  private static final int MAJOR = 8; // compute capability that bfloat16 begins with

  private TensorCores() {}

  /** Whether a device multiplies bfloat16. */
  static boolean areOn(CudaDriver driver) {
    return driver.device().major() >= MAJOR;
  }

  /**
   * Whether they may take part: not where {@value Providers#CONVOLUTIONS} insists on other kernels.
   */
  static boolean mayCompute(CudaDriver driver) {
    return areOn(driver) && Policy.allows(Providers.CONVOLUTIONS, TensorConvolutions.NAME);
  }
}
