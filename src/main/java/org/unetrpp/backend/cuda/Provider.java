package org.unetrpp.backend.cuda;

/** Who computes something: own kernels, or a library. */
interface Provider {
  /** Short name for messages and files, as in {@code cudnn}. */
  String name();
}
