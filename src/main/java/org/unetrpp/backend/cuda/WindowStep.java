package org.unetrpp.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Allocator;
import org.unetrpp.memory.Buffer;

/**
 * All that differs from one step of a sliding window to the next, in one small block of the device
 * that kernels read ({@code WindowStep} of {@code kernels/window.cu}). It is written by a copy from
 * pinned memory, queued before the step. Some steps may be queued at a time: the host resamples the
 * slices of the next windows meanwhile.
 */
final class WindowStep implements AutoCloseable {
  /** Items of a batch at the most: as many as there are ways to mirror. */
  static final int MOST_ITEMS = 8;

  private static final int BYTES = 160;
  private static final int SLOT_BYTES = 256;
  private static final int QUEUED = 16;
  private static final int AXES = 3;
  private static final int EVERY_AXIS = 7;

  private static final long IMAGE = 0;
  private static final long SUMS = 8;
  private static final long IMPORTANCE = 16;
  private static final long EXTENT = 24;
  private static final long IMAGE_SLICES = 36;
  private static final long SUM_SLICES = 40;
  private static final long WINDOWS = 44;
  private static final long MIRRORINGS = 48;
  private static final long MASKS = 52;
  private static final long SHARE = 56;
  private static final long ORIGINS = 60;

  private final CudaDriver driver;
  private final CudaDriver.Stream stream;
  private final Allocator memory;
  private final long address;
  private final MemorySegment pinned;
  private final List<Slot> slots = new ArrayList<>();
  private int next;

  /**
   * What a step is written to before it is copied.
   *
   * @param done reached when the step is
   */
  private record Slot(MemorySegment memory, CudaDriver.Event done) {}

  /** A step of no windows. */
  WindowStep(CudaContext context, Allocator memory) {
    this.driver = context.driver();
    this.stream = context.stream();
    this.memory = memory;
    address = memory.allocate(BYTES);
    pinned = driver.allocateHost((long) QUEUED * SLOT_BYTES);
    for (int i = 0; i < QUEUED; i++) {
      slots.add(new Slot(pinned.asSlice((long) i * SLOT_BYTES, BYTES), driver.createEvent()));
    }
    MemorySegment values = slots.getFirst().memory;
    values.set(JAVA_INT, MIRRORINGS, 1);
    queue(() -> {});
  }

  /** Of the block on the device. */
  long address() {
    return address;
  }

  /**
   * Axes of each way to mirror, three bits for each, those of the first the lowest.
   *
   * @throws IllegalArgumentException if there are not 1, 2, 4 or 8, or one is none of these
   */
  static int masks(List<Integer> mirrorings) {
    int count = mirrorings.size();
    if (count > MOST_ITEMS || Integer.bitCount(count) != 1) {
      throw new IllegalArgumentException(
          "%d ways to mirror, expected 1, 2, 4 or %d".formatted(count, MOST_ITEMS));
    }
    int masks = 0;
    for (int item = 0; item < mirrorings.size(); item++) {
      int axes = mirrorings.get(item);
      if (axes < 0 || axes > EVERY_AXIS) {
        throw new IllegalArgumentException(
            "mirrored along %d, expected a sum of 4, 2 and 1".formatted(axes));
      }
      masks |= axes << (AXES * item);
    }
    return masks;
  }

  /**
   * Queues a step of windows.
   *
   * @param image of one volume for each channel
   * @param importance of the voxels of a window, or none for ones
   * @param origins of the windows, as many as the work takes at most
   * @param work queues what reads the step
   */
  void queue(
      WindowKernels.Ring image,
      WindowKernels.Ring sums,
      @Nullable Buffer importance,
      List<Integer> mirrorings,
      List<Extents> origins,
      Runnable work) {
    MemorySegment values = free();
    values.set(JAVA_LONG, IMAGE, image.values().address());
    values.set(JAVA_LONG, SUMS, sums.values().address());
    values.set(JAVA_LONG, IMPORTANCE, importance == null ? 0 : importance.address());
    write(values, EXTENT, image.extents());
    values.set(JAVA_INT, IMAGE_SLICES, image.slices());
    values.set(JAVA_INT, SUM_SLICES, sums.slices());
    values.set(JAVA_INT, WINDOWS, origins.size());
    values.set(JAVA_INT, MIRRORINGS, mirrorings.size());
    values.set(JAVA_INT, MASKS, masks(mirrorings));
    values.set(JAVA_FLOAT, SHARE, 1f / mirrorings.size());
    for (int i = 0; i < origins.size(); i++) {
      write(values, ORIGINS + (long) i * AXES * Integer.BYTES, origins.get(i));
    }
    queue(work);
  }

  private static void write(MemorySegment values, long offset, Extents extents) {
    for (int axis = 0; axis < AXES; axis++) {
      values.set(JAVA_INT, offset + (long) axis * Integer.BYTES, extents.along(axis));
    }
  }

  /** The memory of the next step, when the step that used it is done. */
  private MemorySegment free() {
    Slot slot = slots.get(next);
    driver.synchronize(slot.done);
    return slot.memory;
  }

  private void queue(Runnable work) {
    Slot slot = slots.get(next);
    driver.copyToDevice(slot.memory, address, stream);
    try {
      work.run();
    } finally {
      driver.record(slot.done, stream);
      next = (next + 1) % QUEUED;
    }
  }

  /** Queues that the step has no windows any more, so that the same work again does nothing. */
  void done() {
    driver.fill(address + WINDOWS, (byte) 0, Integer.BYTES, stream);
  }

  @Override
  public void close() {
    for (Slot slot : slots) {
      driver.synchronize(slot.done);
      driver.destroy(slot.done);
    }
    driver.freeHost(pinned);
    memory.release(address, BYTES);
  }
}
