package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.unetrpp.backend.cuda.driver.CudaException;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** What an emulated device finds out about kernels. */
class EmulationTest {
  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
  }

  @Test
  void layerNormOfOneRowIsNormalized() {
    try (CudaBackend backend = EmulatedCuda.open(DType.FLOAT32);
        var _ = backend.scopes().open()) {
      Buffer x = upload(backend, 1, 2, 3, 6);
      Buffer y = backend.scopes().allocate(DType.FLOAT32, 4);
      backend.layerNorm(x, upload(backend, 1, 1, 1, 2), upload(backend, 0, 0, 0, 1), y, 4, 0);
      float third = (float) (3 / Math.sqrt(3.5));
      assertThat(backend.download(y))
          .usingComparatorWithPrecision(1e-6f)
          .containsExactly(-2 * third / 3, -third / 3, 0, 2 * third + 1);
    }
  }

  @Test
  void accessBehindABufferIsReportedWithItsPlace() {
    try (CudaBackend backend = EmulatedCuda.open(DType.FLOAT32);
        var _ = backend.scopes().open()) {
      Buffer x = upload(backend, new float[8]);
      Buffer y = backend.scopes().allocate(DType.FLOAT32, 8);
      Buffer tooShort = new Buffer(y.address(), DType.FLOAT32, 8);
      Buffer scale = upload(backend, 1, 1, 1, 1);
      assertThatThrownBy(() ->
              backend.layerNorm(
                  new Buffer(x.address(), x.dtype(), 16), scale, scale, tooShort, 4, 0))
          .isInstanceOf(CudaException.class)
          .hasMessageContaining("layer_norm_forward_f32")
          .hasMessageContaining("byte 32 of a block of 32 bytes");
    }
  }

  private static Buffer upload(CudaBackend backend, float... values) {
    Buffer buffer = backend.scopes().allocate(DType.FLOAT32, values.length);
    backend.upload(values, buffer);
    return buffer;
  }
}
