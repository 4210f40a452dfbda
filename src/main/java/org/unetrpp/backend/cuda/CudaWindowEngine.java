package org.unetrpp.backend.cuda;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Plan;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DeviceMemoryException;
import org.unetrpp.window.WindowEngine;
import org.unetrpp.window.WindowSums;
import org.unetrpp.window.WindowedVolume;

/**
 * Predicts windows of images on the device. A step cuts some windows out of an image, mirrored in
 * every way, sends all of them through the network as one batch, and adds them up: one recorded
 * graph, whatever the image and wherever the windows are.
 */
final class CudaWindowEngine implements WindowEngine {
  private final CudaBackend backend;
  private final CudaContext context;
  private final DeviceMemory memory;
  private final WindowKernels kernels;
  private final WindowStep step;
  private final int channels;
  private final int classes;
  private final Extents patch;
  private final UnaryOperator<Buffer> network;
  private final Map<Batch, Planned> planned = new HashMap<>(); // by the batch that was asked for

  /**
   * What goes through the network at once.
   *
   * @param windows of a step
   * @param mirrorings of each
   */
  record Batch(int windows, int mirrorings) {
    /**
     * The batch for so many windows: of those between half of what is possible and all of it that
     * with the fewest items in all, the larger one of equal ones.
     */
    static Batch of(int windows, int mirrorings) {
      int most = Math.max(1, WindowStep.MOST_ITEMS / mirrorings);
      if (windows <= most) {
        return new Batch(Math.max(1, windows), mirrorings);
      }
      int best = most;
      for (int count = most - 1; count > most / 2; count--) {
        if (Math.ceilDiv(windows, count) * count < Math.ceilDiv(windows, best) * best) {
          best = count;
        }
      }
      return new Batch(best, mirrorings);
    }

    int items() {
      return windows * mirrorings;
    }
  }

  /** A recorded step, and how many images use it. */
  static final class Planned {
    private final Batch batch;
    private final Plan plan;
    private int users;

    Planned(Batch batch, Plan plan) {
      this.batch = batch;
      this.plan = plan;
    }

    Batch batch() {
      return batch;
    }

    void run() {
      plan.run(_ -> {});
    }

    void release() {
      users--;
    }
  }

  /**
   * @param network gives (B, K, D, H, W), in the innermost memory scope, of (B, C, D, H, W) of the
   *     backend's type
   */
  CudaWindowEngine(
      CudaBackend backend,
      DeviceMemory memory,
      int channels,
      int classes,
      Extents patch,
      UnaryOperator<Buffer> network) {
    this.backend = backend;
    this.context = backend.context();
    this.memory = memory;
    this.channels = channels;
    this.classes = classes;
    this.patch = patch;
    this.network = network;
    kernels = new WindowKernels(context);
    step = new WindowStep(context, memory.results());
  }

  int channels() {
    return channels;
  }

  int classes() {
    return classes;
  }

  WindowKernels kernels() {
    return kernels;
  }

  WindowStep step() {
    return step;
  }

  @Override
  public boolean holds(WindowedVolume volume) {
    if (find(volume) == null) {
      return false;
    }
    memory.trim();
    return CudaWindowSums.bytes(volume, channels, classes) <= context.driver().freeBytes();
  }

  @Override
  public WindowSums open(WindowedVolume volume) {
    Planned found = find(volume);
    if (found == null) {
      throw new IllegalStateException("the device does not hold %s".formatted(volume.extents()));
    }
    WindowSums sums = new CudaWindowSums(this, context, memory, volume, found);
    found.users++;
    return sums;
  }

  /**
   * The step for an image; none if the device has not the memory for a window in all mirrorings.
   */
  private @Nullable Planned find(WindowedVolume volume) {
    Batch asked = Batch.of(volume.windows(), volume.mirrorings().size());
    Planned found = planned.get(asked);
    if (found != null) {
      return found;
    }
    closeUnused();
    step.done(); // it runs while it is planned, and one that failed may have left its windows
    for (int windows = asked.windows; windows > 0; windows /= 2) {
      Batch batch = new Batch(windows, asked.mirrorings);
      try {
        Planned made = new Planned(batch, backend.plan(() -> compute(batch), List.of()));
        planned.put(asked, made);
        return made;
      } catch (DeviceMemoryException _) {
        memory.trim(); // a smaller batch may fit
      }
    }
    return null;
  }

  private void closeUnused() {
    backend.synchronize();
    planned
        .values()
        .removeIf(candidate -> {
          boolean unused = candidate.users == 0;
          if (unused) {
            candidate.plan.close();
          }
          return unused;
        });
  }

  private Buffer compute(Batch batch) {
    long values = (long) batch.items() * channels * patch.voxels();
    Buffer patches = context.scopes().allocate(backend.computeType(), values);
    kernels.gather(step.address(), patches, channels, patch);
    WindowSink sink = new WindowSink(step.address(), batch.windows);
    Buffer probabilities = context.sinking(sink, () -> network.apply(patches));
    for (int number = 0; number < batch.windows && !sink.isTaken(); number++) {
      kernels.accumulate(step.address(), probabilities, classes, number, patch);
    }
    step.done();
    return probabilities;
  }

  /**
   * {@inheritDoc}
   *
   * @throws IllegalStateException if sums of an image are open
   */
  @Override
  public void close() {
    closeUnused();
    if (!planned.isEmpty()) {
      throw new IllegalStateException("an image is open, expected it to be closed before");
    }
    step.close();
  }
}
