package org.unetrpp.pipeline;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.unetrpp.grid.Extents;

/**
 * A volume of floats for each class of which so many slices are kept at a time, at places that take
 * turns: slice s lies at {@code s % capacity}. With room for all slices it is the volume.
 *
 * @param classes the kept slices of each class, (capacity, H, W)
 * @param extents size of the volume
 * @param capacity how many slices are kept
 */
record ProbabilityRing(List<MemorySegment> classes, Extents extents, int capacity) {
  private static final long ALIGNMENT_BYTES = 64;

  ProbabilityRing {
    classes = List.copyOf(classes);
  }

  /** A ring of zeros. */
  static ProbabilityRing allocate(int classes, Extents extents, int capacity, Arena arena) {
    int kept = Math.min(capacity, extents.depth());
    List<MemorySegment> slices = new ArrayList<>();
    for (int label = 0; label < classes; label++) {
      slices.add(arena.allocate(bytes(1, extents, kept), ALIGNMENT_BYTES));
    }
    return new ProbabilityRing(slices, extents, kept);
  }

  /** All slices of a volume. */
  static ProbabilityRing of(ProbabilityVolume volume) {
    return new ProbabilityRing(volume.classes(), volume.extents(), volume.extents().depth());
  }

  /** Bytes that the slices of some classes take. */
  static long bytes(int classes, Extents extents, int capacity) {
    long slices = Math.min(capacity, extents.depth());
    return (long) Float.BYTES * classes * slices * extents.height() * extents.width();
  }

  private long area() {
    return (long) extents.height() * extents.width();
  }

  /** Where a row lies in the memory of its class. */
  long byteOffset(int slice, int row) {
    return Float.BYTES * (slice % capacity * area() + (long) row * extents.width());
  }

  /** Makes zeros of a slice of a class. */
  void clear(int label, int slice) {
    slice(label, slice).fill((byte) 0);
  }

  /** The memory of a slice of a class, (H, W). */
  MemorySegment slice(int label, int slice) {
    return classes.get(label).asSlice(byteOffset(slice, 0), Float.BYTES * area());
  }

  /**
   * A class with its axes in another order.
   *
   * @param order axes of the result
   * @param first the first kept slice that is read
   * @param end past the last
   */
  TurnedSlices turned(int label, AxisOrder order, int first, int end) {
    long[][] places = new long[3][];
    places[0] = new long[end - first];
    for (int slice = first; slice < end; slice++) {
      places[0][slice - first] = slice % capacity * area();
    }
    places[1] = TurnedSlices.places(extents.height(), extents.width());
    places[2] = TurnedSlices.places(extents.width(), 1);
    return new TurnedSlices(
        classes.get(label), places[order.first()], places[order.second()], places[order.third()]);
  }
}
