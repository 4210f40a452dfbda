package org.unetrpp.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PairedAttentionParameters.Concatenation;
import org.unetrpp.backend.PairedAttentionParameters.Projection;
import org.unetrpp.backend.UpsampleParameters;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/** A box that is run again takes nothing from the Java heap and touches no fresh memory. */
class RepeatedBoxTest {
  private static final int WARM_UPS = 3000; // until the compiler has made the code
  private static final int CALLS = 200; // fewer bytes than these: no object in any call

  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  /** Bytes allocated so far by this thread and those of backends. */
  private static long allocated() {
    long bytes = 0;
    for (long id : THREADS.getAllThreadIds()) {
      Thread here = Thread.currentThread();
      boolean helps = THREADS.getThreadInfo(id).getThreadName().startsWith("unetrpp-cpu-");
      bytes += helps || id == here.threadId() ? THREADS.getThreadAllocatedBytes(id) : 0;
    }
    return bytes;
  }

  private static long pageFaults() throws IOException {
    String stat = Files.readString(Path.of("/proc/self/stat"));
    // Field 10 of proc_pid_stat(5); the second is a name in brackets and may hold blanks.
    return Long.parseLong(stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1)[7]);
  }

  private static void assertTakesNothing(Runnable box) {
    for (int i = 0; i < WARM_UPS; i++) {
      box.run();
    }
    allocated(); // what the count itself takes for the first time
    long empty = -allocated() + allocated(); // what it takes each time
    long before = allocated();
    for (int i = 0; i < CALLS; i++) {
      box.run();
    }
    assertThat(allocated() - before - empty).isLessThan(CALLS);
  }

  private static void assertTouchesNoFreshMemory(Runnable box) throws IOException {
    for (int i = 0; i < WARM_UPS; i++) {
      box.run();
    }
    long before = pageFaults();
    for (int i = 0; i < CALLS; i++) {
      box.run();
    }
    assertThat(pageFaults() - before).isLessThan(CALLS);
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
      assertTakesNothing(() -> backend.boxes().pairedAttention(x, parameters, y, 1));
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
      assertTakesNothing(() -> backend.boxes().upsample(x, up, skip, y, small));
      HeadParameters head =
          new HeadParameters("out", 16, 5, random.random(80, 1), random.random(5, 1));
      Buffer classes = random.poisoned(large.rows() * 5);
      for (HeadOutput output : List.of(HeadOutput.LOGITS, HeadOutput.PROBABILITIES)) {
        assertTakesNothing(() -> backend.boxes().head(y, head, output, classes, large));
      }
    }
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void attentionTouchesNoFreshMemory() throws IOException {
    try (CpuBackend backend = new CpuBackend(2);
        var _ = backend.scopes().open()) {
      Case random = new Case(backend, 5);
      PairedAttentionParameters parameters = attention(random, 16, 2000, true);
      Buffer x = random.random(2000 * 16, 1);
      Buffer y = random.poisoned(x.elements());
      assertTouchesNoFreshMemory(() -> backend.boxes().pairedAttention(x, parameters, y, 1));
    }
  }
}
