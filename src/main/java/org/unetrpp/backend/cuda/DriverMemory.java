package org.unetrpp.backend.cuda;

import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.memory.PooledAllocator;

/** Memory of a device, for a pool. */
final class DriverMemory implements PooledAllocator.Source {
  private final CudaDriver driver;

  DriverMemory(CudaDriver driver) {
    this.driver = driver;
  }

  @Override
  public long obtain(long bytes) {
    return driver.allocate(bytes);
  }

  @Override
  public void giveBack(long address, long bytes) {
    driver.free(address);
  }

  @Override
  public String name() {
    return "memory of " + driver.device().name();
  }
}
