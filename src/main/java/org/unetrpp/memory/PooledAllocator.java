package org.unetrpp.memory;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Objects;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Memory that is obtained once and used again. What is given back is kept, joined with its free
 * neighbors, and serves later requests by the smallest piece that is long enough; so a pass that
 * repeats obtains nothing. {@link #close} returns all.
 */
public class PooledAllocator implements Allocator, AutoCloseable {
  private static final long ALIGNMENT = 256;

  private final Source source;
  private final List<Region> regions = new ArrayList<>();
  private final Map<Long, Region> regionOf = new HashMap<>(); // of blocks in use, by address
  private long bytesInUse;

  /** Where memory comes from. */
  public interface Source {
    /**
     * Fresh memory, aligned to 256 bytes.
     *
     * @throws DeviceMemoryException if there is none
     */
    long obtain(long bytes);

    /** Takes back what {@link #obtain} gave. */
    void giveBack(long address, long bytes);

    /** What the memory is, for messages, as in {@code host memory}. */
    String name();
  }

  /** A pool over {@code source}. */
  public PooledAllocator(Source source) {
    this.source = source;
  }

  /** Memory obtained in one piece. */
  private static final class Region {
    private final long address;
    private final long bytes;
    private final NavigableMap<Long, Long> free = new TreeMap<>(); // sizes by address

    Region(long address, long bytes) {
      this.address = address;
      this.bytes = bytes;
      free.put(address, bytes);
    }

    /** Takes the beginning of a free piece of {@code bytes}. */
    void take(long address, long bytes, long size) {
      free.remove(address);
      if (bytes > size) {
        free.put(address + size, bytes - size);
      }
    }

    void giveBack(long address, long size) {
      long begin = address;
      long end = address + size;
      Map.Entry<Long, Long> before = free.lowerEntry(address);
      if (before != null && before.getKey() + before.getValue() == address) {
        begin = before.getKey();
      }
      Long after = free.remove(end);
      if (after != null) {
        end += after;
      }
      free.put(begin, end - begin);
    }
  }

  /** A free piece that is long enough. */
  private record Fit(Region region, long address, long bytes) {}

  @Override
  public synchronized long allocate(long bytes) {
    long size = rounded(bytes);
    Fit fit = smallestFit(size);
    if (fit == null) {
      fit = fresh(size);
    }
    fit.region().take(fit.address(), fit.bytes(), size);
    regionOf.put(fit.address(), fit.region());
    bytesInUse += size;
    return fit.address();
  }

  private static long rounded(long bytes) {
    return Math.max(ALIGNMENT, Math.ceilDiv(bytes, ALIGNMENT) * ALIGNMENT);
  }

  private @Nullable Fit smallestFit(long size) {
    Fit best = null;
    for (Region region : regions) {
      for (Map.Entry<Long, Long> piece : region.free.entrySet()) {
        long bytes = piece.getValue();
        if (bytes >= size && (best == null || bytes < best.bytes())) {
          best = new Fit(region, piece.getKey(), bytes);
        }
      }
    }
    return best;
  }

  private Fit fresh(long size) {
    long address;
    try {
      address = source.obtain(size);
    } catch (DeviceMemoryException e) {
      throw new DeviceMemoryException(
          "%s; %d bytes are in use, %d are held"
              .formatted(e.getMessage(), bytesInUse, bytesHeld()));
    }
    Region region = new Region(address, size);
    regions.add(region);
    return new Fit(region, address, size);
  }

  @Override
  public synchronized void release(long address, long bytes) {
    Region region = regionOf.remove(address);
    if (region == null) {
      throw new IllegalStateException("no block starts at address " + address);
    }
    long size = rounded(bytes);
    bytesInUse -= size;
    region.giveBack(address, size);
  }

  @Override
  public synchronized long bytesInUse() {
    return bytesInUse;
  }

  /** Bytes obtained, in use or kept for the next request. */
  public synchronized long bytesHeld() {
    return regions.stream().mapToLong(region -> region.bytes).sum();
  }

  /** Returns what nothing uses to where it came from, piece by piece as it was obtained. */
  public synchronized void trim() {
    Iterator<Region> all = regions.iterator();
    while (all.hasNext()) {
      Region region = all.next();
      if (Objects.equals(region.free.get(region.address), region.bytes)) {
        source.giveBack(region.address, region.bytes);
        all.remove();
      }
    }
  }

  /**
   * Returns all memory to where it came from.
   *
   * @throws DeviceMemoryException if some is still in use; it is returned all the same
   */
  @Override
  public synchronized void close() {
    long leaked = bytesInUse;
    regions.forEach(region -> source.giveBack(region.address, region.bytes));
    regions.clear();
    regionOf.clear();
    bytesInUse = 0;
    if (leaked != 0) {
      throw new DeviceMemoryException(
          leaked + " bytes of " + source.name() + " were never released");
    }
  }
}
