package org.unetrpp.backend.cuda.driver;

import jcuda.driver.CUdeviceptr;

/** An address of the device as JCuda takes and gives it. */
final class DeviceAddress extends CUdeviceptr {
  /** An address that is still to be given. */
  DeviceAddress() {}

  DeviceAddress(long address) {
    super(new CUdeviceptr(), address);
  }

  long value() {
    return getNativePointer() + getByteOffset();
  }
}
