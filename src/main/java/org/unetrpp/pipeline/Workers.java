package org.unetrpp.pipeline;

import com.google.errorprone.annotations.MustBeClosed;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;
import java.util.function.ObjIntConsumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The threads of one run of the pipeline, with the way to cancel it and the one to tell of its
 * progress.
 *
 * <p>Loops hand out their indices one at a time to whichever thread is free. So that results are
 * the same bytes for any number of threads, the body of a loop writes only what belongs to its
 * index, and sums go through one partial result for each index.
 *
 * <p>A run is cancelled by its {@link BooleanSupplier} or by interrupting the thread that called;
 * the interrupt status stays set. Either makes the loop throw {@link CancellationException} before
 * its next index.
 */
public final class Workers implements AutoCloseable {
  private final int threads;
  private final BooleanSupplier cancelled;
  private final Progress progress;
  private final ExecutorService helpers;

  /**
   * Workers of a run.
   *
   * @param threads how many threads work, the calling one included; at least 1
   * @param cancelled asked by all threads whether to stop
   * @param progress told of what is done
   */
  @MustBeClosed
  public Workers(int threads, BooleanSupplier cancelled, Progress progress) {
    if (threads < 1) {
      throw new IllegalArgumentException("threads is " + threads + ", expected at least 1");
    }
    this.threads = threads;
    this.cancelled = cancelled;
    this.progress = progress;
    this.helpers =
        Executors.newCachedThreadPool(
            Thread.ofPlatform().daemon().name("unetrpp-pipeline-", 1).factory());
  }

  /** Workers that nobody cancels or watches. */
  @MustBeClosed
  public static Workers of(int threads) {
    return new Workers(threads, () -> false, Progress.NONE);
  }

  /**
   * Returns if the run may go on.
   *
   * @throws CancellationException if it was cancelled
   */
  public void checkCancelled() {
    if (cancelled.getAsBoolean() || Thread.currentThread().isInterrupted()) {
      throw new CancellationException("cancelled");
    }
  }

  /** Tells the listener, on the calling thread. */
  public void report(String stage, long done, long total) {
    progress.report(stage, done, total);
  }

  /**
   * Calls {@code body} once for each of 0 to {@code count - 1}, without telling of progress.
   *
   * @throws CancellationException if the run was cancelled
   */
  public void forEach(int count, IntConsumer body) {
    new Loop<>(count, () -> body, IntConsumer::accept, Progress.NONE, "").run();
  }

  /**
   * Calls {@code body} once for each of 0 to {@code count - 1}, giving each thread scratch of its
   * own, without telling of progress.
   *
   * @throws CancellationException if the run was cancelled
   */
  public <S> void forEach(int count, Supplier<S> scratch, ObjIntConsumer<S> body) {
    new Loop<>(count, scratch, body, Progress.NONE, "").run();
  }

  /**
   * Calls {@code body} once for each of 0 to {@code count - 1}, giving each thread scratch of its
   * own. Returns when no thread is in the body any more, also when it throws.
   *
   * @param stage name under which progress is told, in units of {@code count}
   * @throws CancellationException if the run was cancelled
   */
  public <S> void forEach(String stage, int count, Supplier<S> scratch, ObjIntConsumer<S> body) {
    new Loop<>(count, scratch, body, progress, stage).run();
  }

  @Override
  public void close() {
    helpers.close();
  }

  /** One loop: the indices still to do and what went wrong first. */
  private final class Loop<S> {
    private final int count;
    private final Supplier<S> scratch;
    private final ObjIntConsumer<S> body;
    private final Progress listener;
    private final String stage;
    private final AtomicInteger next = new AtomicInteger();
    private final AtomicInteger done = new AtomicInteger();
    private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();

    Loop(int count, Supplier<S> scratch, ObjIntConsumer<S> body, Progress listener, String stage) {
      this.count = count;
      this.scratch = scratch;
      this.body = body;
      this.listener = listener;
      this.stage = stage;
    }

    void run() {
      int helping = Math.max(0, Math.min(threads, count) - 1);
      CompletableFuture<?>[] running = new CompletableFuture<?>[helping];
      for (int helper = 0; helper < helping; helper++) {
        running[helper] = CompletableFuture.runAsync(() -> work(cancelled, () -> {}), helpers);
      }
      work(
          () -> cancelled.getAsBoolean() || Thread.currentThread().isInterrupted(),
          () -> listener.report(stage, done.get(), count));
      CompletableFuture.allOf(running).join();
      rethrow(failure.get());
      listener.report(stage, count, count);
    }

    private void work(BooleanSupplier stop, Runnable afterEach) {
      try {
        S own = scratch.get();
        int index = next.getAndIncrement();
        while (index < count && failure.get() == null) {
          if (stop.getAsBoolean()) {
            throw new CancellationException("cancelled");
          }
          body.accept(own, index);
          done.incrementAndGet();
          afterEach.run();
          index = next.getAndIncrement();
        }
      } catch (RuntimeException | Error thrown) {
        failure.compareAndSet(null, thrown); // rethrown by the thread that started the loop
      }
    }

    private static void rethrow(@Nullable Throwable thrown) {
      switch (thrown) {
        case null -> {}
        case RuntimeException exception -> throw exception;
        case Error error -> throw error;
        default -> throw new AssertionError("a loop's body threw a checked exception", thrown);
      }
    }
  }
}
