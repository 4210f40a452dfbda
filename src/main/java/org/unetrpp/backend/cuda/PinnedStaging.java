package org.unetrpp.backend.cuda;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.unetrpp.backend.cuda.driver.CudaDriver;

/**
 * Two slots of pinned host memory that values pass through between host and device: while one is
 * being copied, the other is filled or emptied. The slots are taken on first use.
 */
final class PinnedStaging implements AutoCloseable {
  /** Bytes of a slot. */
  static final long SLOT_BYTES = 4L << 20;

  private static final int SLOTS = 2;

  private final CudaDriver driver;
  private final CudaDriver.Stream stream;
  private final List<Slot> slots = new ArrayList<>();
  private int next;

  /** Takes or gives the bytes of a slot. */
  @FunctionalInterface
  interface Part {
    /**
     * Fills or empties a slot.
     *
     * @param slot as many bytes as are copied at once
     * @param offset of these bytes in all that are copied, a multiple of 8
     */
    void pass(MemorySegment slot, long offset);
  }

  /**
   * A slot.
   *
   * @param done reached when the last copy from or to it is done
   */
  private record Slot(MemorySegment memory, CudaDriver.Event done) {}

  /** Part of a slot that is being copied to. */
  private record Arriving(Slot slot, long offset, long bytes) {}

  PinnedStaging(CudaDriver driver, CudaDriver.Stream stream) {
    this.driver = driver;
    this.stream = stream;
  }

  /** The slots take turns, so that the one that was used last is left alone the longest. */
  private Slot nextSlot() {
    if (slots.size() < SLOTS) {
      slots.add(new Slot(driver.allocateHost(SLOT_BYTES), driver.createEvent()));
    }
    Slot slot = slots.get(next);
    next = (next + 1) % SLOTS;
    return slot;
  }

  /** Queues a copy to the device of what {@code fill} has written when this returns. */
  void toDevice(long destination, long bytes, Part fill) {
    for (long offset = 0; offset < bytes; offset += SLOT_BYTES) {
      Slot slot = nextSlot();
      driver.synchronize(slot.done);
      MemorySegment part = slot.memory.asSlice(0, Math.min(SLOT_BYTES, bytes - offset));
      fill.pass(part, offset);
      driver.copyToDevice(part, destination + offset, stream);
      driver.record(slot.done, stream);
    }
  }

  /** Queues a copy of values to the device, which may be changed when this returns. */
  void toDevice(long destination, MemorySegment values) {
    toDevice(
        destination,
        values.byteSize(),
        (slot, offset) -> MemorySegment.copy(values, offset, slot, 0, slot.byteSize()));
  }

  /** Waits for queued work and copies what it left on the device. */
  void toHost(long source, MemorySegment target) {
    toHost(
        source,
        target.byteSize(),
        (slot, offset) -> MemorySegment.copy(slot, 0, target, offset, slot.byteSize()));
  }

  /** Waits for queued work and copies what it left on the device to {@code take}. */
  void toHost(long source, long bytes, Part take) {
    Arriving arriving = null;
    for (long offset = 0; offset < bytes; offset += SLOT_BYTES) {
      Slot slot = nextSlot();
      Arriving following = new Arriving(slot, offset, Math.min(SLOT_BYTES, bytes - offset));
      MemorySegment part = slot.memory.asSlice(0, following.bytes);
      driver.copyToHost(source + offset, part, stream);
      driver.record(slot.done, stream);
      if (arriving != null) {
        pass(arriving, take);
      }
      arriving = following;
    }
    if (arriving != null) {
      pass(arriving, take);
    }
  }

  private void pass(Arriving arriving, Part take) {
    driver.synchronize(arriving.slot.done);
    take.pass(arriving.slot.memory.asSlice(0, arriving.bytes), arriving.offset);
  }

  @Override
  public void close() {
    for (Slot slot : slots) {
      driver.synchronize(slot.done);
      driver.destroy(slot.done);
      driver.freeHost(slot.memory);
    }
    slots.clear();
  }
}
