package org.unetrpp.testing;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** What computations of the CPU backend take of the Java heap and of fresh memory. */
public final class Footprint {
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
  private static final String HELPERS = "unetrpp-cpu-"; // how their names begin
  private static final Path THREAD = Path.of("/proc/thread-self");
  private static final Path TASKS = Path.of("/proc/self/task");

  private Footprint() {}

  /**
   * Asserts that the threads of a computation make no object, and on Linux that they touch no page
   * for the first time. Compilers and collectors work in threads of their own.
   *
   * @param warmUps runs before anything is counted
   * @param runs that are counted; so many bytes, and so many pages, are less than one each time
   */
  public static void assertTakesNothing(Runnable computation, int warmUps, int runs) {
    for (int i = 0; i < warmUps; i++) {
      computation.run();
    }
    Count.of(() -> {}); // what counting takes for the first time
    Count nothing = Count.of(() -> {}); // and each time
    Count count =
        Count.of(() -> {
          for (int i = 0; i < runs; i++) {
            computation.run();
          }
        });
    assertThat(count.bytes() - nothing.bytes()).as("bytes of objects").isLessThan(runs);
    assertThat(count.faults() - nothing.faults()).as("page faults").isLessThan(runs);
  }

  private record Count(long bytes, long faults) {
    static Count of(Runnable work) {
      long bytes = allocated();
      long faults = pageFaults();
      work.run();
      faults = pageFaults() - faults;
      return new Count(allocated() - bytes, faults);
    }
  }

  /** Bytes allocated so far by this thread and those of backends. */
  private static long allocated() {
    long bytes = 0;
    for (long id : THREADS.getAllThreadIds()) {
      Thread here = Thread.currentThread();
      boolean helps = THREADS.getThreadInfo(id).getThreadName().startsWith(HELPERS);
      bytes += helps || id == here.threadId() ? THREADS.getThreadAllocatedBytes(id) : 0;
    }
    return bytes;
  }

  /** Page faults so far of the same threads; 0 on other systems than Linux. */
  private static long pageFaults() {
    if (!Files.exists(THREAD)) {
      return 0;
    }
    try (Stream<Path> threads = Files.list(TASKS)) {
      return pageFaults(THREAD)
          + threads.filter(Footprint::helps).mapToLong(Footprint::pageFaults).sum();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static boolean helps(Path thread) {
    return read(thread.resolve("comm")).startsWith(HELPERS);
  }

  /** Field 10 of proc_pid_stat(5); the second is a name in brackets and may hold blanks. */
  private static long pageFaults(Path thread) {
    String stat = read(thread.resolve("stat"));
    return Long.parseLong(stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1)[7]);
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
