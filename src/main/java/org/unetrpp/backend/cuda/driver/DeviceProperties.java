package org.unetrpp.backend.cuda.driver;

/**
 * What there is to know of a device.
 *
 * @param ordinal which of the machine's devices
 * @param name as the maker calls it
 * @param major of the compute capability, as 9 of 9.0
 * @param minor of the compute capability
 * @param multiprocessors number of them
 * @param totalBytes memory
 * @param sharedBytesPerBlock shared memory that a block may ask for
 * @param driverVersion CUDA version of the driver, as 13000 for 13.0
 */
public record DeviceProperties(
    int ordinal,
    String name,
    int major,
    int minor,
    int multiprocessors,
    long totalBytes,
    int sharedBytesPerBlock,
    int driverVersion) {
  /** The compute capability as compilers spell it, as in {@code sm_90}. */
  public String architecture() {
    return "sm_" + major + minor;
  }
}
