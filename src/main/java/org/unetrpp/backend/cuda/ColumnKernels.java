package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.MatrixView;
import org.unetrpp.memory.Buffer;

/** Launches {@code kernels/columns.cu}: sums and norms of columns. */
final class ColumnKernels {
  private static final String FILE = "columns";

  private final CudaContext context;

  ColumnKernels(CudaContext context) {
    this.context = context;
  }

  void addBias(MatrixView x, Buffer bias) {
    throw new UnsupportedOperationException();
  }

  void addColumnSums(MatrixView dy, Buffer dbias) {
    throw new UnsupportedOperationException();
  }

  void addRepeats(Buffer dy, Buffer sum) {
    throw new UnsupportedOperationException();
  }

  /** Keeps what the columns were divided by in {@code norms}, where there is a buffer for it. */
  void normalize(MatrixView x, @Nullable Buffer norms) {
    throw new UnsupportedOperationException();
  }

  void normalizeBackward(MatrixView dy, MatrixView y, Buffer norms) {
    throw new UnsupportedOperationException();
  }
}
