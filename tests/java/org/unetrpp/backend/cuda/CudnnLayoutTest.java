package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.driver.Cudnn;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.DType;

class CudnnLayoutTest {
  @Test
  void channelsComeSecondInAxesAndLastInMemory() {
    Convolution shape =
        new Convolution(16, 32, new Extents(3, 2, 1), new Extents(1, 2, 3), new Extents(1, 0, 2));
    Cudnn.Shape layout = CudnnLayout.of(DType.BFLOAT16, new Grid(2, new Extents(4, 6, 9)), shape);
    assertThat(layout.dtype()).isEqualTo(DType.BFLOAT16);
    assertThat(layout.x()).containsExactly(2, 16, 4, 6, 9);
    assertThat(layout.xStrides()).containsExactly(4 * 6 * 9 * 16, 1, 6 * 9 * 16, 9 * 16, 16);
    assertThat(layout.weight()).containsExactly(32, 16, 3, 2, 1);
    assertThat(layout.y()).containsExactly(2, 32, 4, 3, 5);
    assertThat(layout.yStrides()).containsExactly(4 * 3 * 5 * 32, 1, 3 * 5 * 32, 5 * 32, 32);
    assertThat(layout.padding()).containsExactly(1, 0, 2);
    assertThat(layout.stride()).containsExactly(1, 2, 3);
  }

  @Test
  void stridesBeyond32BitsAreAnError() {
    Grid grid = new Grid(1, new Extents(2048, 2048, 2048));
    assertThatThrownBy(() -> CudnnLayout.of(DType.FLOAT32, grid, Convolution.same3(1, 1)))
        .isInstanceOf(ArithmeticException.class);
  }
}
