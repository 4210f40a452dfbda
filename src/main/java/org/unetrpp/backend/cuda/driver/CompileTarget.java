package org.unetrpp.backend.cuda.driver;

/**
 * What a compiler makes images for.
 *
 * @param capability ten times the compute capability, as 90 for 9.0
 * @param finished whether it makes an image that runs as it is; else the driver finishes it
 */
record CompileTarget(int capability, boolean finished) {
  /**
   * The best target for a device: its own, else the closest older one of the same major version,
   * whose images run on it too, else the closest older one at all, for the driver to finish.
   *
   * @param device ten times its compute capability
   * @param supported what the compiler knows, in any order
   * @throws CudaException if the compiler knows nothing that old
   */
  static CompileTarget of(int device, int[] supported) {
    int closest = 0;
    for (int capability : supported) {
      if (capability <= device && capability > closest) {
        closest = capability;
      }
    }
    if (closest == 0) {
      throw new CudaException(
          "the compiler knows no device as old as compute capability %d.%d"
              .formatted(device / 10, device % 10));
    }
    return new CompileTarget(closest, closest / 10 == device / 10);
  }

  /** As compilers call it, {@code sm_90} or {@code compute_90}. */
  @Override
  public String toString() {
    return (finished ? "sm_" : "compute_") + capability;
  }
}
