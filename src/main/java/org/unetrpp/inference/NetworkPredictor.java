package org.unetrpp.inference;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.grid.Extents;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.ForwardPlan;
import org.unetrpp.nn.Parameters;
import org.unetrpp.pipeline.PatchPredictor;
import org.unetrpp.window.WindowEngine;

/**
 * Networks on a device as the sliding window sees them: the mean of their probabilities. Threads
 * may share it: they take turns, patch by patch, and each patch has all of the device. A single
 * network on a device that keeps images takes windows of these; what several networks give is
 * averaged and added up on the host.
 */
final class NetworkPredictor implements PatchPredictor, AutoCloseable {
  private static final long ALIGNMENT_BYTES = 64;
  private static final int TILE = 4096;

  private final Architecture architecture;
  private final List<ForwardPlan> plans = new ArrayList<>();
  private final Arena arena = Arena.ofShared();
  private final MemorySegment sums; // of several networks' probabilities
  private final ReentrantLock turn = new ReentrantLock(true);
  private final Optional<WindowEngine> windows;

  /**
   * Plans networks.
   *
   * @param networks at least one, of the same architecture; each is loaded when the one before is
   *     planned, and closed by this
   */
  NetworkPredictor(Architecture architecture, List<Supplier<Parameters>> networks) {
    this.architecture = architecture;
    long values = classes() * patch().voxels();
    try {
      sums =
          networks.size() == 1
              ? MemorySegment.NULL
              : arena.allocate(values * Float.BYTES, ALIGNMENT_BYTES);
      for (Supplier<Parameters> network : networks) {
        plans.add(new ForwardPlan(architecture, network.get(), 1, HeadOutput.PROBABILITIES));
      }
      windows =
          plans.size() == 1
              ? plans.getFirst().windows().map(engine -> new SharedWindows(engine, turn))
              : Optional.empty();
    } catch (RuntimeException e) {
      closePlans();
      throw e;
    }
  }

  @Override
  public int channels() {
    return architecture.inputChannels();
  }

  @Override
  public int classes() {
    return architecture.classes();
  }

  @Override
  public Extents patch() {
    return architecture.patch();
  }

  @Override
  public void predict(MemorySegment input, Consumer<MemorySegment> consumer) {
    turn.lock();
    try {
      if (plans.size() == 1) {
        plans.getFirst().run(input, consumer);
      } else {
        average(input);
        consumer.accept(sums.asReadOnly());
      }
    } finally {
      turn.unlock();
    }
  }

  /** Makes the mean of all networks' probabilities, added in the order of the networks. */
  private void average(MemorySegment input) {
    plans.getFirst().run(input, sums::copyFrom);
    for (int i = 1; i < plans.size(); i++) {
      float share = i == plans.size() - 1 ? 1f / plans.size() : 1;
      plans.get(i).run(input, others -> add(others, share));
    }
  }

  /** {@code sums = share * (sums + others)}, by tiles of arrays, which compile to vectors. */
  private void add(MemorySegment others, float share) {
    float[] sum = new float[TILE];
    float[] addend = new float[TILE];
    long values = sums.byteSize() / Float.BYTES;
    for (long first = 0; first < values; first += TILE) {
      int count = (int) Math.min(TILE, values - first);
      long offset = first * Float.BYTES;
      MemorySegment.copy(sums, JAVA_FLOAT, offset, sum, 0, count);
      MemorySegment.copy(others, JAVA_FLOAT, offset, addend, 0, count);
      for (int i = 0; i < count; i++) {
        sum[i] = share * (sum[i] + addend[i]);
      }
      MemorySegment.copy(sum, 0, sums, JAVA_FLOAT, offset, count);
    }
  }

  @Override
  public Optional<WindowEngine> windows() {
    return windows;
  }

  @Override
  public void close() {
    windows.ifPresent(WindowEngine::close);
    closePlans();
  }

  private void closePlans() {
    plans.reversed().forEach(ForwardPlan::close);
    plans.clear();
    arena.close();
  }
}
