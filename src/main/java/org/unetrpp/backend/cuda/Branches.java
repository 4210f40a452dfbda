package org.unetrpp.backend.cuda;

import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.cuda.driver.CudaDriver;

/**
 * The streams of a backend: one that all work goes to, in order, and, while a pass is recorded, a
 * second one for work that needs nothing of what is queued after it. One branch is open at a time;
 * work that is to branch off meanwhile is queued as ever.
 *
 * <p>What a branch has used stays allocated until it is joined, so that nothing beside it is placed
 * there. That is so in the pass that finds out how long memory lives, too.
 */
final class Branches implements AutoCloseable {
  private final CudaDriver driver;
  private final CudaDriver.Stream main;
  private final DeviceMemory memory;
  private Mode mode = Mode.INLINE;
  private boolean open;
  private boolean working;
  private @Nullable Side side;

  private enum Mode {
    /** Branches are queued as any work. */
    INLINE,
    /** The same, and their memory is held until they are joined. */
    PLANNED,
    /** They go to the second stream. */
    RECORDED
  }

  /** What recording needs and must not make then. */
  private record Side(CudaDriver.Stream stream, CudaDriver.Event begin, CudaDriver.Event end) {}

  Branches(CudaDriver driver, CudaDriver.Stream main, DeviceMemory memory) {
    this.driver = driver;
    this.main = main;
    this.memory = memory;
  }

  /** Where work is queued now. */
  CudaDriver.Stream current() {
    return working && mode == Mode.RECORDED ? side().stream : main;
  }

  /** Whether what is queued now belongs to a branch. */
  boolean isBranch() {
    return working;
  }

  /** A pass whose memory lives as long as that of its recording. */
  <T> T planned(Supplier<T> pass) {
    return in(Mode.PLANNED, pass);
  }

  /** A pass that is being recorded, and was planned. */
  <T> T recorded(Supplier<T> pass) {
    return in(Mode.RECORDED, pass);
  }

  private <T> T in(Mode passing, Supplier<T> pass) {
    Mode before = mode;
    mode = passing;
    try {
      return pass.get();
    } finally {
      mode = before;
      open = false;
    }
  }

  /** As {@link CudaContext#branch}. */
  Branch begin(Runnable work) {
    if (mode == Mode.INLINE || open) {
      work.run();
      return () -> {};
    }
    Side beside = side();
    if (mode == Mode.RECORDED) {
      follow(main, beside.begin, beside.stream);
    }
    open = true;
    working = true;
    Runnable release;
    try {
      release = memory.holding(work);
    } finally {
      working = false;
    }
    return () -> {
      if (mode == Mode.RECORDED) {
        follow(beside.stream, beside.end, main);
      }
      release.run();
      open = false;
    };
  }

  private Side side() {
    if (side == null) {
      side = new Side(driver.createStream(), driver.createEvent(), driver.createEvent());
    }
    return side;
  }

  /** Lets what {@code later} is given from now on wait for what {@code earlier} has. */
  private void follow(CudaDriver.Stream earlier, CudaDriver.Event event, CudaDriver.Stream later) {
    driver.record(event, earlier);
    driver.await(event, later);
  }

  @Override
  public void close() {
    if (side != null) {
      driver.destroy(side.begin);
      driver.destroy(side.end);
      driver.destroy(side.stream);
      side = null;
    }
  }
}
