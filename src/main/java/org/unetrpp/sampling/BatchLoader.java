package org.unetrpp.sampling;

import com.google.errorprone.annotations.MustBeClosed;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import org.unetrpp.augmentation.Patch;
import org.unetrpp.dataset.PreparedCase;

/**
 * Makes batches ahead of their use, on threads of its own.
 *
 * <p>A batch is a function of the cases, the settings, the seed and the batch's index: the same
 * bytes for any number of threads and wherever a run starts. Threads share the samples of all
 * batches that are under way.
 */
public final class BatchLoader implements AutoCloseable {
  /** How many batches after the one asked for are made or kept. */
  private static final int AHEAD = 3;

  private final PatchSampler sampler;
  private final ExecutorService workers;
  private final Map<Long, PendingBatch> pending = new HashMap<>();

  /**
   * Starts the threads; nothing is made before the first batch is asked for.
   *
   * @param cases drawn from; their memory must live until the loader is closed
   * @param settings how batches are made
   * @param seed of all batches
   * @param threads how many threads make samples, at least 1
   * @throws IllegalArgumentException if there is no case, or one differs from the first in its
   *     channels or holds more or less than its extents say
   */
  @MustBeClosed
  public BatchLoader(List<PreparedCase> cases, LoaderSettings settings, long seed, int threads) {
    if (threads < 1) {
      throw new IllegalArgumentException("threads is " + threads + ", expected at least 1");
    }
    this.sampler = new PatchSampler(cases, settings, seed);
    this.workers =
        Executors.newFixedThreadPool(
            threads, Thread.ofPlatform().daemon().name("unetrpp-loader-", 1).factory());
  }

  /**
   * A batch, waited for if it is not ready; the following ones are made meanwhile and later. Any
   * index may be asked for, but each time the next one is fastest.
   *
   * @param index of the batch, from 0
   * @throws CancellationException if this thread is interrupted, whose status stays set, or if the
   *     loader is closed by another one
   * @throws IllegalStateException if a case cannot be read or transformed, with its identifier; or
   *     if the loader is closed
   */
  public synchronized Batch get(long index) {
    if (index < 0) {
      throw new IllegalArgumentException("index is " + index + ", expected at least 0");
    }
    dropOutside(index);
    PendingBatch batch = startFrom(index);
    try {
      return batch.await();
    } finally {
      pending.remove(index);
      batch.cancel();
    }
  }

  private void dropOutside(long index) {
    pending
        .entrySet()
        .removeIf(entry -> {
          boolean dropped = entry.getKey() < index || entry.getKey() > index + AHEAD;
          if (dropped) {
            entry.getValue().cancel();
          }
          return dropped;
        });
  }

  /** Starts the batches that are not under way yet, and returns the first. */
  private PendingBatch startFrom(long index) {
    try {
      for (long ahead = index; ahead <= index + AHEAD; ahead++) {
        pending.computeIfAbsent(ahead, this::start);
      }
      return Objects.requireNonNull(pending.get(index));
    } catch (RejectedExecutionException e) {
      throw new IllegalStateException("the loader is closed", e);
    }
  }

  private PendingBatch start(long index) {
    LoaderSettings settings = sampler.settings();
    int voxels = Math.toIntExact(settings.patch().voxels());
    int count = Math.multiplyExact(settings.batchSize(), voxels);
    Batch batch =
        new Batch(
            settings.batchSize(),
            sampler.channels(),
            settings.patch(),
            new float[Math.multiplyExact(count, sampler.channels())],
            new short[count]);
    List<Future<?>> samples = new ArrayList<>();
    for (int each = 0; each < settings.batchSize(); each++) {
      int position = each;
      samples.add(workers.submit(() -> fill(batch, index, position)));
    }
    return new PendingBatch(batch, samples);
  }

  private void fill(Batch batch, long index, int position) {
    Patch patch = sampler.sample(index, position);
    float[] image = patch.image();
    short[] labels = patch.labels();
    System.arraycopy(image, 0, batch.image(), position * image.length, image.length);
    System.arraycopy(labels, 0, batch.labels(), position * labels.length, labels.length);
  }

  /** Ends the threads, each after the sample that it is at. */
  @Override
  public void close() {
    for (Runnable queued : workers.shutdownNow()) {
      ((Future<?>) queued).cancel(false); // else a thread in get would wait for it
    }
    workers.close();
  }

  /** A batch and what fills it. */
  private record PendingBatch(Batch batch, List<Future<?>> samples) {
    Batch await() {
      try {
        for (Future<?> sample : samples) {
          sample.get();
        }
        return batch;
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw cancelled(e);
      } catch (ExecutionException e) {
        throw switch (e.getCause()) {
          case CancellationException cancelled -> cancelled(cancelled);
          case IllegalStateException failed ->
              new IllegalStateException(failed.getMessage(), failed);
          case null, default -> new IllegalStateException("a sample failed: " + e.getMessage(), e);
        };
      }
    }

    private static CancellationException cancelled(Exception cause) {
      CancellationException cancelled = new CancellationException("cancelled");
      cancelled.initCause(cause);
      return cancelled;
    }

    void cancel() {
      samples.forEach(sample -> sample.cancel(true));
    }
  }
}
