package org.unetrpp.backend.cuda;

import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.Grid;
import org.unetrpp.memory.Buffer;

/** Launches {@code kernels/dropout.cu}. */
final class DropoutKernels {
  private static final String FILE = "dropout";

  private final CudaContext context;

  DropoutKernels(CudaContext context) {
    this.context = context;
  }

  void dropout(Buffer x, Buffer y, Dropout dropout, long first) {
    throw new UnsupportedOperationException();
  }

  void channelDropout(Buffer x, Buffer y, Dropout dropout, Grid grid, int channels) {
    throw new UnsupportedOperationException();
  }
}
