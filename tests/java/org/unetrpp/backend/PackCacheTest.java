package org.unetrpp.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.HostAllocator;

class PackCacheTest {
  private final HostAllocator memory = new HostAllocator();
  private final PackCache cache = new PackCache(memory);
  private final Buffer weight = new Buffer(4096, DType.FLOAT32, 100);
  private final Buffer scale = new Buffer(8192, DType.FLOAT32, 10);
  private int packed;

  private long get(String purpose, Buffer... from) {
    return cache.get(purpose, List.of(from), 10, _ -> packed++);
  }

  @AfterEach
  void everythingIsReleased() {
    cache.close();
    assertThat(memory.bytesInUse()).isZero();
    memory.close();
  }

  @Test
  void packsOnceForEachPurpose() {
    long first = get("a", weight, scale);
    assertThat(get("a", weight, scale)).isEqualTo(first);
    assertThat(packed).isEqualTo(1);
    assertThat(get("b", weight, scale)).isNotEqualTo(first);
    assertThat(packed).isEqualTo(2);
  }

  @Test
  void packsAgainWhenAnySourceChanges() {
    get("a", weight, scale);
    cache.invalidate(scale.address(), scale.bytes());
    assertThat(memory.bytesInUse()).isZero();
    get("a", weight, scale);
    assertThat(packed).isEqualTo(2);
  }

  @Test
  void packsAgainWhenPartOfASourceChanges() {
    get("a", weight);
    cache.invalidate(weight.address() + 40, 4);
    get("a", weight);
    assertThat(packed).isEqualTo(2);
  }

  @Test
  void packsAgainWhenMemoryAroundASourceIsReleased() {
    get("a", weight, scale);
    cache.invalidate(0, 16384);
    get("a", weight, scale);
    assertThat(packed).isEqualTo(2);
  }

  @Test
  void whatIsMadeOfAPackIsMadeAnewWithIt() {
    Buffer pack = new Buffer(get("a", weight), DType.FLOAT32, 2);
    get("b", pack);
    cache.invalidate(weight.address(), weight.bytes());
    assertThat(memory.bytesInUse()).isZero();
    Buffer again = new Buffer(get("a", weight), DType.FLOAT32, 2);
    get("b", again);
    assertThat(packed).isEqualTo(4);
  }

  @Test
  void keepsWhatHasNotChanged() {
    get("a", weight);
    cache.invalidate(weight.address() - 100, 100);
    cache.invalidate(weight.address() + weight.bytes(), 100);
    get("a", weight);
    assertThat(packed).isEqualTo(1);
  }

  @Test
  void aFailedPackLeavesNothing() {
    assertThatThrownBy(() ->
            cache.get(
                "a",
                List.of(weight),
                10,
                _ -> {
                  throw new IllegalStateException("no");
                }))
        .hasMessage("no");
    assertThat(memory.bytesInUse()).isZero();
  }

  @Test
  void keepsWhatWasMadeOfBuffersUntilOneChanges() {
    cache.keep("plan", List.of(weight, scale), "made");
    assertThat(cache.kept("plan")).isEqualTo("made");
    assertThat(cache.kept("another")).isNull();
    cache.invalidate(scale.address(), scale.bytes());
    assertThat(cache.kept("plan")).isNull();
  }

  @Test
  void whatIsKeptAnewDependsOnItsOwnBuffersAlone() {
    cache.keep("plan", List.of(weight), "first");
    cache.keep("plan", List.of(scale), "second");
    cache.invalidate(weight.address(), weight.bytes());
    assertThat(cache.kept("plan")).isEqualTo("second");
  }
}
