package org.unetrpp.grid;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ExtentsTest {
  @Test
  void voxelsDoNotOverflow() {
    assertThat(new Extents(2048, 2048, 2048).voxels()).isEqualTo(1L << 33);
  }
}
