package org.unetrpp.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class HostAllocatorTest {
  private static final long UNIT = 256;

  private record Block(long address, long bytes) {
    boolean overlaps(Block other) {
      return address < other.address + other.bytes && other.address < address + bytes;
    }
  }

  @Test
  void blocksInUseNeverOverlapAndAllAreAligned() {
    Random random = new Random(3);
    try (HostAllocator memory = new HostAllocator()) {
      List<Block> blocks = new ArrayList<>();
      for (int i = 0; i < 2000; i++) {
        if (!blocks.isEmpty() && random.nextInt(2) == 0) {
          Block block = blocks.remove(random.nextInt(blocks.size()));
          memory.release(block.address(), block.bytes());
        } else {
          long bytes = 1L + random.nextInt(20_000);
          Block block = new Block(memory.allocate(bytes), bytes);
          assertThat(block.address() % UNIT).isZero();
          assertThat(blocks).noneMatch(block::overlaps);
          blocks.add(block);
        }
      }
      blocks.forEach(block -> memory.release(block.address(), block.bytes()));
      assertThat(memory.bytesInUse()).isZero();
    }
  }

  @Test
  void repeatedRequestsTouchNoFreshMemory() {
    try (HostAllocator memory = new HostAllocator()) {
      long held = 0;
      for (int pass = 0; pass < 3; pass++) {
        long a = memory.allocate(10 * UNIT);
        long b = memory.allocate(3 * UNIT);
        memory.release(a, 10 * UNIT);
        long c = memory.allocate(4 * UNIT);
        memory.release(c, 4 * UNIT);
        memory.release(b, 3 * UNIT);
        held = held == 0 ? memory.bytesHeld() : held;
        assertThat(memory.bytesHeld()).isEqualTo(held);
      }
    }
  }

  @Test
  void whatWasOneBlockServesSmallerOnesAndIsWholeAgain() {
    try (HostAllocator memory = new HostAllocator()) {
      memory.release(memory.allocate(8 * UNIT), 8 * UNIT);
      List<Long> parts = new ArrayList<>();
      for (int i = 0; i < 8; i++) {
        parts.add(memory.allocate(UNIT));
      }
      assertThat(memory.bytesHeld()).isEqualTo(8 * UNIT);
      for (int i : new int[] {1, 0, 3, 7, 5, 6, 2, 4}) {
        memory.release(parts.get(i), UNIT);
      }
      memory.release(memory.allocate(8 * UNIT), 8 * UNIT);
      assertThat(memory.bytesHeld()).isEqualTo(8 * UNIT);
    }
  }

  @Test
  void smallestPieceThatIsLongEnoughIsTaken() {
    try (HostAllocator memory = new HostAllocator()) {
      long large = memory.allocate(10 * UNIT);
      long small = memory.allocate(2 * UNIT);
      memory.release(large, 10 * UNIT);
      memory.release(small, 2 * UNIT);
      assertThat(memory.allocate(UNIT)).isEqualTo(small);
      memory.release(small, UNIT);
    }
  }

  @Test
  void rejectsBlocksThatItDoesNotKnow() {
    try (HostAllocator memory = new HostAllocator()) {
      assertThatThrownBy(() -> memory.release(4096, 1)).isInstanceOf(IllegalStateException.class);
    }
  }

  @Test
  void closingReportsWhatWasNeverReleased() {
    HostAllocator memory = new HostAllocator();
    memory.allocate(1);
    assertThatThrownBy(memory::close)
        .isInstanceOf(DeviceMemoryException.class)
        .hasMessage("256 bytes of host memory were never released");
  }
}
