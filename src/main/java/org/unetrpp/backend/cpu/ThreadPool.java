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
  /**
   * How long a thread looks for work before it parks, in nanoseconds: a wake-up from parking takes
   * about as long.
   */
  private static final long PATIENCE = 50_000;

  private static final int LOOKS_AT_A_TIME = 16;
  private static final Task NOTHING = (_, _) -> {};

  private final OneDnn oneDnn;
  private final Worker caller;
  private final List<Helper> helpers = new ArrayList<>();

  /**
   * Tasks of the present run that no thread has taken. A run starts when this becomes positive, so
   * a thread that comes late finds it at or below zero until then, and does no harm.
   */
  private final AtomicInteger untaken = new AtomicInteger();

  /** Tasks of the present run that are not done. */
  private final AtomicInteger undone = new AtomicInteger();

  private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
  private Task task = NOTHING; // these three belong to the run that "untaken" publishes
  private int count;
  private @Nullable Thread driver;
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

  /** What thread {@code index} has for itself; the caller's is 0. */
  Worker worker(int index) {
    return index == 0 ? caller : helpers.get(index - 1).worker;
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
      if (count <= 1 || helpers.isEmpty()) {
        for (int index = 0; index < count; index++) {
          task.run(index, caller);
        }
        return;
      }
      share(count, task);
      throwFailure();
    } finally {
      oneDnn.restoreThreads(before);
    }
  }

  private void share(int tasks, Task body) {
    task = body;
    count = tasks;
    driver = Thread.currentThread();
    failure.set(null);
    undone.set(tasks);
    untaken.set(tasks);
    for (int i = 0; i < helpers.size(); i++) { // a loop that needs no iterator
      LockSupport.unpark(helpers.get(i));
    }
    work(caller);
    awaitLast();
    task = NOTHING;
  }

  private void work(Worker worker) {
    int taken;
    while ((taken = untaken.getAndDecrement()) > 0) {
      try {
        if (failure.get() == null) {
          task.run(count - taken, worker);
        }
      } catch (Throwable e) { // carried to the caller
        failure.compareAndSet(null, e);
      }
      if (undone.decrementAndGet() == 0) {
        LockSupport.unpark(driver);
      }
    }
  }

  private void awaitLast() {
    boolean interrupted = false;
    while (!isSoon(undone, true)) {
      LockSupport.park(this);
      interrupted |= Thread.interrupted(); // an interrupt must not turn waiting into spinning
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Looks for some time whether a number becomes zero, or positive. */
  private static boolean isSoon(AtomicInteger number, boolean zero) {
    long start = System.nanoTime();
    do {
      for (int look = 0; look < LOOKS_AT_A_TIME; look++) {
        int value = number.get();
        if (zero ? value == 0 : value > 0) {
          return true;
        }
        Thread.onSpinWait();
      }
    } while (System.nanoTime() - start < PATIENCE);
    return false;
  }

  private void throwFailure() {
    switch (failure.get()) {
      case null -> {}
      case RuntimeException e -> throw e;
      case Error e -> throw e;
      case Throwable e -> throw new IllegalStateException(e);
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
      while (!closed) {
        if (isSoon(untaken, false)) {
          work(worker);
        } else {
          LockSupport.park(ThreadPool.this);
        }
      }
    }
  }
}
