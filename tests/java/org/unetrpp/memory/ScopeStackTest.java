package org.unetrpp.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class ScopeStackTest {
  private final HostAllocator allocator = new HostAllocator();
  private final ScopeStack scopes = new ScopeStack(allocator);

  @Test
  void closingReleasesWhatTheScopeOwns() {
    try (var _ = scopes.open()) {
      scopes.allocate(DType.FLOAT32, 1000);
      assertThat(allocator.bytesInUse()).isGreaterThanOrEqualTo(4000);
    }
    assertThat(allocator.bytesInUse()).isZero();
  }

  @Test
  void keptBuffersLiveAsLongAsTheScopeOutside() {
    try (var _ = scopes.open()) {
      try (MemoryScope inner = scopes.open()) {
        inner.keep(scopes.allocate(DType.FLOAT32, 16));
        scopes.allocate(DType.FLOAT32, 16);
      }
      assertThat(allocator.bytesInUse()).isEqualTo(256);
    }
    assertThat(allocator.bytesInUse()).isZero();
  }

  @Test
  void buffersCanBeReleasedBeforeTheirScopeCloses() {
    try (var _ = scopes.open()) {
      Buffer early = scopes.allocate(DType.FLOAT32, 16);
      Buffer late = scopes.allocate(DType.FLOAT32, 16);
      try (var _ = scopes.open()) {
        assertThat(scopes.release(early.slice(0, 8))).as("a part").isFalse();
        assertThat(scopes.release(early)).isTrue();
        assertThat(scopes.release(early)).as("again").isFalse();
      }
      assertThat(allocator.bytesInUse()).isEqualTo(256);
      assertThat(scopes.release(late)).isTrue();
    }
    assertThat(allocator.bytesInUse()).isZero();
  }

  @Test
  void releasedBlocksServeAgain() {
    long first;
    try (var _ = scopes.open()) {
      first = scopes.allocate(DType.FLOAT32, 100).address();
    }
    try (var _ = scopes.open()) {
      assertThat(scopes.allocate(DType.FLOAT32, 100).address()).isEqualTo(first);
    }
    assertThat(allocator.bytesHeld()).isEqualTo(512);
  }

  @Test
  @SuppressWarnings("MustBeClosedChecker") // closed in the wrong order on purpose
  void scopesCloseInReverseOrder() {
    MemoryScope outer = scopes.open();
    MemoryScope inner = scopes.open();
    assertThatThrownBy(outer::close)
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("reverse order");
    inner.close();
    outer.close();
  }

  @Test
  void allocationNeedsAScope() {
    assertThatThrownBy(() -> scopes.allocate(DType.FLOAT32, 1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("no memory scope is open");
  }

  @Test
  void aLeakIsNamedInBytes() {
    allocator.allocate(300);
    assertThatThrownBy(allocator::close)
        .isInstanceOf(DeviceMemoryException.class)
        .hasMessage("512 bytes of host memory were never released");
  }

  @Test
  void aRequestBeyondTheMachineNamesTheBytes() {
    assertThatThrownBy(() -> allocator.allocate(1L << 60))
        .isInstanceOf(DeviceMemoryException.class)
        .hasMessageContaining(Long.toString(1L << 60));
  }
}
