package org.unetrpp.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.BitSet;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class BitsTest {
  @Test
  void rangesAndSearchesAgreeWithTheJdks() {
    SplittableRandom random = new SplittableRandom(13);
    for (int round = 0; round < 300; round++) {
      int count = random.nextInt(1, 300);
      Bits bits = Bits.none(count);
      BitSet expected = new BitSet(count);
      for (int range = 0; range < 3; range++) {
        int from = random.nextInt(count);
        int to = random.nextInt(from, count + 1);
        bits.set(from, to);
        expected.set(from, to);
        int cleared = random.nextInt(count);
        bits.clear(cleared);
        expected.clear(cleared);
      }
      assertThat(bits.count()).isEqualTo(expected.cardinality());
      int from = random.nextInt(count);
      int to = random.nextInt(from, count + 1);
      int set = expected.nextSetBit(from);
      int last = expected.previousSetBit(to - 1);
      assertThat(bits.get(from)).isEqualTo(expected.get(from));
      assertThat(bits.nextSet(from, to)).isEqualTo(set < 0 ? to : Math.min(set, to));
      assertThat(bits.nextClear(from, to)).isEqualTo(Math.min(expected.nextClearBit(from), to));
      assertThat(bits.endOfSet(from, to)).isEqualTo(last < from ? from : last + 1);
    }
  }
}
