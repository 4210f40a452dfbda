package org.unetrpp.backend.cuda.driver;

import jcuda.driver.CUstream;

/** A stream of {@link JcudaDriver}, for libraries that queue work on it themselves. */
public final class JcudaStream implements CudaDriver.Stream {
  private final CUstream handle;
  private final JcudaDriver driver;

  JcudaStream(CUstream handle, JcudaDriver driver) {
    this.handle = handle;
    this.driver = driver;
  }

  CUstream handle() {
    return handle;
  }

  /** Makes the device the calling thread's current one, as libraries take it. */
  void enter() {
    driver.enter();
  }
}
