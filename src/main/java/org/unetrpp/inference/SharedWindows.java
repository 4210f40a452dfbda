package org.unetrpp.inference;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.locks.Lock;
import java.util.function.Supplier;
import org.unetrpp.grid.Extents;
import org.unetrpp.window.AxisTaps;
import org.unetrpp.window.WindowEngine;
import org.unetrpp.window.WindowSums;
import org.unetrpp.window.WindowedVolume;

/**
 * Windows on a device that threads share: they take turns, call by call.
 *
 * @param turn of whoever drives the device
 */
record SharedWindows(WindowEngine engine, Lock turn) implements WindowEngine {
  private <T> T inTurn(Supplier<T> work) {
    turn.lock();
    try {
      return work.get();
    } finally {
      turn.unlock();
    }
  }

  private void inTurn(Runnable work) {
    turn.lock();
    try {
      work.run();
    } finally {
      turn.unlock();
    }
  }

  @Override
  public boolean holds(WindowedVolume volume) {
    return inTurn(() -> engine.holds(volume));
  }

  @Override
  public WindowSums open(WindowedVolume volume) {
    return new Sums(inTurn(() -> engine.open(volume)));
  }

  @Override
  public void close() {
    inTurn(engine::close);
  }

  /** The sums of one image. */
  private final class Sums implements WindowSums {
    private final WindowSums sums;

    Sums(WindowSums sums) {
      this.sums = sums;
    }

    @Override
    public int windowsAtOnce() {
      return sums.windowsAtOnce();
    }

    @Override
    public void enter(int channel, int slice, MemorySegment values) {
      inTurn(() -> sums.enter(channel, slice, values));
    }

    @Override
    public void add(List<Extents> origins) {
      inTurn(() -> sums.add(origins));
    }

    @Override
    public void await() {
      inTurn(sums::await);
    }

    @Override
    public long average(int first, int end) {
      return inTurn(() -> sums.average(first, end));
    }

    @Override
    public void download(int label, int slice, MemorySegment target) {
      inTurn(() -> sums.download(label, slice, target));
    }

    @Override
    public byte[] labels(List<AxisTaps> axes) {
      return inTurn(() -> sums.labels(axes));
    }

    @Override
    public void clear(int first, int end) {
      inTurn(() -> sums.clear(first, end));
    }

    @Override
    public void close() {
      inTurn(sums::close);
    }
  }
}
