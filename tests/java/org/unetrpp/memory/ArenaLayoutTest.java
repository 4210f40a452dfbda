package org.unetrpp.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.unetrpp.memory.ArenaLayout.Block;

class ArenaLayoutTest {
  private static boolean overlap(ArenaLayout layout, List<Block> blocks, int a, int b) {
    return layout.offset(a) < layout.offset(b) + blocks.get(b).bytes()
        && layout.offset(b) < layout.offset(a) + blocks.get(a).bytes();
  }

  private static boolean meet(Block a, Block b) {
    return a.born() < b.died() && b.born() < a.died();
  }

  @Test
  void blocksOfOneAfterTheOtherShareMemory() {
    List<Block> blocks =
        List.of(new Block(1024, 0, 2), new Block(512, 1, 3), new Block(1024, 2, 4));
    ArenaLayout layout = new ArenaLayout(blocks);
    assertThat(layout.bytes()).isEqualTo(1024 + 512);
    assertThat(layout.offset(2)).isEqualTo(layout.offset(0));
  }

  @Test
  void blocksThatLiveTogetherLieApartAndAligned() {
    Random random = new Random(7);
    for (int repetition = 0; repetition < 50; repetition++) {
      List<Block> blocks = new ArrayList<>();
      long everything = 0;
      for (int i = 0; i < 40; i++) {
        int born = random.nextInt(60);
        blocks.add(new Block(random.nextInt(5000), born, born + 1 + random.nextInt(20)));
        everything += blocks.getLast().bytes() + 255;
      }
      ArenaLayout layout = new ArenaLayout(blocks);
      assertThat(layout.bytes()).isLessThan(everything);
      for (int a = 0; a < blocks.size(); a++) {
        assertThat(layout.offset(a) % 256).isZero();
        assertThat(layout.offset(a) + blocks.get(a).bytes()).isLessThanOrEqualTo(layout.bytes());
        for (int b = 0; b < a; b++) {
          assertThat(meet(blocks.get(a), blocks.get(b)) && overlap(layout, blocks, a, b)).isFalse();
        }
      }
    }
  }

  @Test
  void placesAnswerTheRequestsThatWereNoted() {
    Lifetimes lifetimes = Lifetimes.ofNothing();
    ScopeStack scopes = new ScopeStack(lifetimes);
    allocateSome(scopes);
    assertThat(lifetimes.bytesInUse()).isZero();
    ArenaLayout layout = lifetimes.layout();
    assertThat(layout.bytes()).isEqualTo(4096 + 2048);
    PlacedAllocator placed = new PlacedAllocator(layout, 1 << 20);
    allocateSome(new ScopeStack(placed));
    assertThat(placed.bytesInUse()).isZero();
    assertThatThrownBy(() -> placed.allocate(16))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("16 bytes asked for as block 3");
  }

  /** 4096 bytes throughout, and 2048 and then 1024 beside them. */
  private static void allocateSome(ScopeStack scopes) {
    try (var _ = scopes.open()) {
      scopes.allocate(DType.FLOAT32, 1024);
      for (int elements : new int[] {512, 256}) {
        try (var _ = scopes.open()) {
          scopes.allocate(DType.FLOAT32, elements);
        }
      }
    }
  }

  @Test
  void aBlockThatDiesBeforeItIsBornIsRefused() {
    assertThatThrownBy(() -> new Block(16, 3, 3)).isInstanceOf(IllegalArgumentException.class);
  }
}
