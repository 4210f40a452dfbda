package org.unetrpp.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.unetrpp.sampling.RandomStream.Purpose;

class RandomStreamTest {
  @Test
  void generatorIsXoshiro256PlusPlus() {
    RandomStream random = new RandomStream(1, 2, 3, 4);
    // From the recurrence in Python's integers; also the test vector of Rust's rand_xoshiro.
    assertThat(
            new long[] {random.nextLong(), random.nextLong(), random.nextLong(), random.nextLong()})
        .containsExactly(41943041L, 58720359L, 3588806011781223L, 3591011842654386L);
  }

  @Test
  void streamsStayTheSameFromVersionToVersion() {
    RandomStream random = RandomStream.of(42, Purpose.AUGMENTATION, 1000, 3);
    assertThat(new long[] {random.nextLong(), random.nextLong(), random.nextLong()})
        .containsExactly(-1035612889295896179L, 4199287336785025758L, -6481413964837879486L);
  }

  @Test
  void everyUseHasAStreamOfItsOwn() {
    Set<Long> firsts = new HashSet<>();
    for (long seed = 0; seed < 5; seed++) {
      for (Purpose purpose : Purpose.values()) {
        for (long batch = 0; batch < 50; batch++) {
          for (int position = 0; position < 4; position++) {
            firsts.add(RandomStream.of(seed, purpose, batch, position).nextLong());
          }
        }
      }
    }
    assertThat(firsts).hasSize(5 * 3 * 50 * 4);
  }
}
