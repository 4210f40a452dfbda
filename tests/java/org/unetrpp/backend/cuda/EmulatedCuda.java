package org.unetrpp.backend.cuda;

import com.google.errorprone.annotations.MustBeClosed;
import org.unetrpp.memory.DType;

/** The CUDA backend on a device that the processor plays. */
public final class EmulatedCuda {
  /** What a machine lacks that cannot play a device. */
  public static final String NEEDS = "needs g++ on an x86-64 Linux";

  private static final long MEMORY = 8L << 30;

  private EmulatedCuda() {}

  /** Whether this machine can play a device: it needs g++ on an x86-64 Linux. */
  public static boolean isPossible() {
    return HostKernels.arePossible();
  }

  /** A backend whose every buffer lies between guard pages. */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the backend closes the driver
  public static CudaBackend open(DType computeType) {
    EmulatedDriver driver = new EmulatedDriver(MEMORY);
    return new CudaBackend(driver, computeType, DeviceMemory.unpooled(driver));
  }
}
