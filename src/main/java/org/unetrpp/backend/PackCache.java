package org.unetrpp.backend;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.unetrpp.memory.Allocator;
import org.unetrpp.memory.Buffer;

/**
 * Copies of weights in the form that their consumer reads, made on first use and kept until a
 * buffer that they were made from changes or is released.
 */
public final class PackCache implements AutoCloseable {
  private final Allocator memory;
  private final Map<Key, Pack> packs = new HashMap<>();
  private final Map<Object, Kept> kept = new HashMap<>();
  private final NavigableMap<Long, Source> sources = new TreeMap<>();
  private final Set<Buffer> spent = new HashSet<>();
  private long version;

  public PackCache(Allocator memory) {
    this.memory = memory;
  }

  /** Writes packed values to an address. */
  @FunctionalInterface
  public interface Packer {
    void pack(long destination);
  }

  private record Key(Object purpose, List<Buffer> from) {}

  private record Pack(long address, long bytes) {}

  /** What a backend has made of buffers besides packs. */
  private record Kept(Object value, List<Buffer> from) {}

  /** A buffer that packs were made from; the longest that starts at its address. */
  private static final class Source {
    private long bytes;
    private final Set<Object> keys = new HashSet<>();
  }

  /**
   * Address of the packed values.
   *
   * @param purpose tells packs of the same buffers apart
   * @param from buffers that the values depend on; the first is what is packed, and is read in this
   *     form only
   * @param bytes that the packed values take
   * @param packer makes them when they are not there
   * @throws IllegalStateException if they are not there and the first buffer is spent
   */
  public long get(Object purpose, List<Buffer> from, long bytes, Packer packer) {
    Key key = new Key(purpose, from);
    Pack pack = packs.get(key);
    if (pack != null) {
      return pack.address();
    }
    requireUnspent(from.getFirst());
    Pack made = new Pack(memory.allocate(bytes), bytes);
    try {
      packer.pack(made.address());
    } catch (RuntimeException e) {
      memory.release(made.address(), made.bytes());
      throw e;
    }
    packs.put(key, made);
    link(key, from);
    return made.address();
  }

  /**
   * Takes note that the values of a buffer will be lost, if they are packed and nothing else was
   * made of them. They come back by {@link #invalidate}.
   *
   * @return whether they may be lost
   */
  public boolean spend(Buffer buffer) {
    Source source = sources.get(buffer.address());
    if (source == null || !source.keys.stream().allMatch(key -> isPackOf(key, buffer))) {
      return false;
    }
    spent.add(buffer);
    return true;
  }

  private static boolean isPackOf(Object key, Buffer buffer) {
    return key instanceof Key pack && pack.from().getFirst().equals(buffer);
  }

  /**
   * Returns if the values of a buffer are there.
   *
   * @throws IllegalStateException if they are spent
   */
  public void requireUnspent(Buffer buffer) {
    if (spent.contains(buffer)) {
      throw new IllegalStateException(
          "parameters that were given up when a network was planned are needed in another form");
    }
  }

  /** What {@link #keep} has been given under a key, unless it is out of date; makes no objects. */
  public @Nullable Object kept(Object key) {
    Kept found = kept.get(key);
    return found == null ? null : found.value();
  }

  /**
   * Keeps what was made of buffers until one of them changes or is released.
   *
   * @param key tells it apart from all else that is kept
   * @param from buffers that it depends on
   */
  public void keep(Object key, List<Buffer> from, Object value) {
    if (kept.containsKey(key)) {
      drop(key);
    }
    kept.put(key, new Kept(value, List.copyOf(from)));
    link(key, from);
  }

  /** A number that changes when something is dropped because its buffers changed. */
  public long version() {
    return version;
  }

  private void link(Object key, List<Buffer> from) {
    for (Buffer buffer : from) {
      Source source = sources.computeIfAbsent(buffer.address(), _ -> new Source());
      source.bytes = Math.max(source.bytes, buffer.bytes());
      source.keys.add(key);
    }
  }

  /** Drops what was made from any of these bytes. */
  public void invalidate(long address, long bytes) {
    spent.removeIf(buffer ->
        buffer.address() < address + bytes && address < buffer.address() + buffer.bytes());
    Long first = firstReaching(address);
    if (first == null) {
      first = address;
    }
    NavigableMap<Long, Source> touched = sources.subMap(first, true, address + bytes, false);
    if (touched.isEmpty()) {
      return;
    }
    List<Object> stale = new ArrayList<>();
    touched.values().forEach(source -> stale.addAll(source.keys));
    version++;
    stale.forEach(this::drop);
  }

  /** Start of the source that begins before {@code address} and reaches it, if there is one. */
  private @Nullable Long firstReaching(long address) {
    Map.Entry<Long, Source> before = sources.lowerEntry(address);
    return before != null && before.getKey() + before.getValue().bytes > address
        ? before.getKey()
        : null;
  }

  private void drop(Object key) {
    if (key instanceof Key ofPack) {
      Pack pack = packs.remove(ofPack);
      if (pack != null) {
        invalidate(pack.address(), pack.bytes()); // other packs may be made of this one
        memory.release(pack.address(), pack.bytes());
      }
      unlink(key, ofPack.from());
    } else {
      Kept value = kept.remove(key);
      if (value != null) {
        unlink(key, value.from());
      }
    }
  }

  private void unlink(Object key, List<Buffer> from) {
    for (Buffer buffer : from) {
      Source source = sources.get(buffer.address());
      if (source != null) {
        source.keys.remove(key);
        if (source.keys.isEmpty()) {
          sources.remove(buffer.address());
        }
      }
    }
  }

  /** Drops everything. */
  @Override
  public void close() {
    packs.values().forEach(pack -> memory.release(pack.address(), pack.bytes()));
    packs.clear();
    kept.clear();
    sources.clear();
    spent.clear();
  }
}
