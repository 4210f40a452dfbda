package org.unetrpp.backend.cuda;

import org.unetrpp.memory.Buffer;

/** Launches {@code kernels/elements.cu}: operations on each element. */
final class ElementKernels {
  private static final String FILE = "elements";

  private final CudaContext context;

  ElementKernels(CudaContext context) {
    this.context = context;
  }

  void leakyRelu(Buffer x, Buffer y, double slope) {
    throw new UnsupportedOperationException();
  }

  void leakyReluBackward(Buffer dy, Buffer y, Buffer dx, double slope) {
    throw new UnsupportedOperationException();
  }

  /** {@code b} may be of another type than {@code a} and {@code y}. */
  void add(Buffer a, Buffer b, Buffer y) {
    throw new UnsupportedOperationException();
  }

  void addScaled(Buffer a, Buffer gamma, Buffer b, Buffer y, int channels) {
    throw new UnsupportedOperationException();
  }

  void addScaledBackward(
      Buffer dy, Buffer gamma, Buffer b, Buffer db, Buffer dgamma, int channels) {
    throw new UnsupportedOperationException();
  }

  /** {@code scales} may be of another type than {@code x}. */
  void scaleRuns(Buffer x, Buffer scales, long run) {
    throw new UnsupportedOperationException();
  }

  void scaleRunsBackward(Buffer dy, Buffer x, Buffer scales, Buffer dscales, long run) {
    throw new UnsupportedOperationException();
  }

  /** Copies, converting where the types differ. */
  void copy(Buffer x, Buffer y) {
    throw new UnsupportedOperationException();
  }

  void channelsLast(Buffer x, Buffer y, int batch, int channels, int voxels) {
    throw new UnsupportedOperationException();
  }

  void channelsFirst(Buffer x, Buffer y, int batch, int channels, int voxels) {
    throw new UnsupportedOperationException();
  }
}
