package org.unetrpp.backend.cpu;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * Runs numbered tasks on the calling thread and a fixed number of helpers. Threads take the next
 * number when they are free, so a thread that the system holds up delays the others by one task
 * only. Which thread runs a task says nothing about its result: tasks are cut by shape.
 *
 * <p>Helpers are daemon threads that look for work for some microseconds and then park. One thread
 * at a time may call {@link #run}, and tasks may not.
 */
final class ThreadPool implements AutoCloseable {
  /** About 20 microseconds: a wake-up from parking takes longer than most gaps between runs. */
  private static final int SPINS = 400;

  private final OneDnn oneDnn;
  private final Worker caller;
  private final List<Helper> helpers = new ArrayList<>();
  private volatile @Nullable Job job;
  private volatile boolean closed;

  /** One task of many. */
  @FunctionalInterface
  interface Task {
    /**
     * Does the work of task {@code index}.
     *
     * @param worker of the thread that it runs on
     */
    void run(int index, Worker worker);
  }

  /**
   * Starts the helpers.
   *
   * @param threads in all, the caller's among them
   */
  ThreadPool(int threads, OneDnn oneDnn, IntFunction<Worker> workers) {
    if (threads < 1) {
      throw new IllegalArgumentException(threads + " threads, expected at least 1");
    }
    this.oneDnn = oneDnn;
    caller = workers.apply(0);
    for (int index = 1; index < threads; index++) {
      helpers.add(new Helper(workers.apply(index)));
    }
    helpers.forEach(Thread::start);
  }

  /** Threads that work, the caller's among them. */
  int threads() {
    return helpers.size() + 1;
  }

  /**
   * Runs tasks 0 to {@code count - 1} and returns when all are done. If one fails, those not yet
   * begun are left out and its exception is thrown.
   */
  void run(int count, Task task) {
    if (closed) {
      throw new IllegalStateException("the backend is closed");
    }
    int before = oneDnn.useOneThread();
    try {
      if (count == 1 || helpers.isEmpty()) {
        for (int index = 0; index < count; index++) {
          task.run(index, caller);
        }
        return;
      }
      Job current = new Job(task, count, Thread.currentThread());
      job = current;
      helpers.forEach(LockSupport::unpark);
      current.work(caller);
      current.await();
      job = null;
      current.throwFailure();
    } finally {
      oneDnn.restoreThreads(before);
    }
  }

  /** Ends the helpers. */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    helpers.forEach(LockSupport::unpark);
    for (Helper helper : helpers) {
      joinUninterruptibly(helper);
      helper.worker.close();
    }
    helpers.clear();
    caller.close();
  }

  private static void joinUninterruptibly(Thread thread) {
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private final class Helper extends Thread {
    private final Worker worker;

    Helper(Worker worker) {
      super("unetrpp-cpu-" + worker.index());
      this.worker = worker;
      setDaemon(true);
    }

    @Override
    public void run() {
      oneDnn.useOneThread();
      Job done = null;
      while (!closed) {
        Job next = awaitJobAfter(done);
        if (next != null) {
          next.work(worker);
          done = next;
        }
      }
    }

    /** The job after {@code done}, or none when the thread woke for nothing. */
    private @Nullable Job awaitJobAfter(@Nullable Job done) {
      for (int spin = 0; spin < SPINS; spin++) {
        Job next = job;
        if (next != null && next != done) {
          return next;
        }
        Thread.onSpinWait();
      }
      LockSupport.park(ThreadPool.this);
      return null;
    }
  }

  private static final class Job {
    private final Task task;
    private final int count;
    private final Thread caller;
    private final AtomicInteger next = new AtomicInteger();
    private final AtomicInteger done = new AtomicInteger();
    private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();

    Job(Task task, int count, Thread caller) {
      this.task = task;
      this.count = count;
      this.caller = caller;
    }

    void work(Worker worker) {
      int index;
      while ((index = next.getAndIncrement()) < count) {
        try {
          if (failure.get() == null) {
            task.run(index, worker);
          }
        } catch (Throwable e) { // carried to the caller
          failure.compareAndSet(null, e);
        }
        if (done.incrementAndGet() == count) {
          LockSupport.unpark(caller);
        }
      }
    }

    void await() {
      boolean interrupted = false;
      for (int spin = 0; done.get() < count; spin++) {
        if (spin < SPINS) {
          Thread.onSpinWait();
        } else {
          LockSupport.park(this);
          interrupted |= Thread.interrupted(); // an interrupt must not turn waiting into spinning
        }
      }
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }

    void throwFailure() {
      switch (failure.get()) {
        case null -> {}
        case RuntimeException e -> throw e;
        case Error e -> throw e;
        case Throwable e -> throw new IllegalStateException(e);
      }
    }
  }
}
