package org.unetrpp.backend.cuda.driver;

/** Compiles kernel files on this machine. */
interface KernelCompiler {
  /** All that its results depend on besides the source: its version, the target, its options. */
  String identity();

  /**
   * Compiles a file to an image for one device.
   *
   * @throws CudaException if it cannot be compiled; the message holds the compiler's words
   */
  byte[] compile(KernelSource source);
}
