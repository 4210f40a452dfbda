package org.unetrpp.backend.cpu;

import java.util.List;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PairedAttentionParameters.Concatenation;
import org.unetrpp.backend.PairedAttentionParameters.Projection;
import org.unetrpp.backend.Plan;
import org.unetrpp.backend.UpsampleParameters;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.testing.Footprint;

/** A planned box that is run again takes nothing from the Java heap and no fresh memory. */
class RepeatedBoxTest {
  private static final int WARM_UPS = 3000; // until the compiler has made the code
  private static final int CALLS = 200;

  private static void assertTakesNothing(CpuBackend backend, Supplier<Buffer> box) {
    try (Plan plan = backend.plan(box, List.of())) {
      Footprint.assertTakesNothing(() -> plan.run(_ -> {}), WARM_UPS, CALLS);
    }
  }

  private static PairedAttentionParameters attention(
      Case random, int channels, int tokens, boolean concatenated) {
    int half = channels / 2;
    int projected = 16;
    Projection keys =
        new Projection(
            "E",
            random.random((long) projected * tokens, 0.1),
            !concatenated,
            concatenated ? random.random(projected, 0.5) : null);
    return new PairedAttentionParameters(
        "block",
        channels,
        4,
        tokens,
        projected,
        random.random((long) tokens * channels, 0.5),
        random.random(channels, 0.2),
        random.random(channels, 0.2),
        random.random(channels, 1),
        random.upload(random.around(2, 4)),
        random.upload(random.around(2, 4)),
        random.random(4L * channels * channels, 0.3),
        keys,
        keys,
        concatenated
            ? new Concatenation(
                random.random((long) half * channels, 0.3),
                random.random(half, 0.5),
                random.random((long) half * channels, 0.3),
                random.random(half, 0.5))
            : null);
  }

  @ParameterizedTest(name = "attention of {0} channels over {1} tokens, output layers: {2}")
  @CsvSource({"16, 1000, true", "16, 1000, false", "64, 50, true", "64, 50, false"})
  void attentionTakesNothing(int channels, int tokens, boolean concatenated) {
    try (CpuBackend backend = new CpuBackend(2);
        var _ = backend.scopes().open()) {
      Case random = new Case(backend, 3);
      PairedAttentionParameters parameters = attention(random, channels, tokens, concatenated);
      Buffer x = random.random((long) tokens * channels, 1);
      Buffer y = random.poisoned(x.elements());
      assertTakesNothing(
          backend,
          () -> {
            backend.boxes().pairedAttention(x, parameters, y, 1);
            return y;
          });
    }
  }

  @Test
  void upsamplingAndHeadTakeNothing() {
    try (CpuBackend backend = new CpuBackend(2);
        var _ = backend.scopes().open()) {
      Case random = new Case(backend, 4);
      Extents stride = new Extents(2, 2, 2);
      Grid small = new Grid(1, new Extents(4, 6, 5));
      Grid large = small.times(stride);
      UpsampleParameters up =
          new UpsampleParameters("up", 32, 16, stride, random.random(32L * 16 * 8, 0.2));
      Buffer x = random.random(small.rows() * 32, 1);
      Buffer skip = random.random(large.rows() * 16, 1);
      Buffer y = random.poisoned(skip.elements());
      assertTakesNothing(
          backend,
          () -> {
            backend.boxes().upsample(x, up, skip, y, small);
            return y;
          });
      HeadParameters head =
          new HeadParameters("out", 16, 5, random.random(80, 1), random.random(5, 1));
      Buffer classes = random.poisoned(large.rows() * 5);
      for (HeadOutput output : List.of(HeadOutput.LOGITS, HeadOutput.PROBABILITIES)) {
        assertTakesNothing(
            backend,
            () -> {
              backend.boxes().head(y, head, output, classes, large);
              return classes;
            });
      }
    }
  }
}
