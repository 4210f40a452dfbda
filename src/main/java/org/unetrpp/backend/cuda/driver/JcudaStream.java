package org.unetrpp.backend.cuda.driver;

import jcuda.driver.CUstream;

/** A stream of {@link JcudaDriver}, for libraries that queue work on it themselves. */
public record JcudaStream(CUstream handle) implements CudaDriver.Stream {}
