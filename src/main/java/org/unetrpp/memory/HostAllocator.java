package org.unetrpp.memory;

import java.lang.foreign.Arena;
import java.util.HashMap;
import java.util.Map;

/** A pool of host memory outside the Java heap. */
public final class HostAllocator extends PooledAllocator {
  private static final long ALIGNMENT = 256;

  public HostAllocator() {
    super(new Native());
  }

  private static final class Native implements Source {
    private final Map<Long, Arena> arenas = new HashMap<>(); // by the address of their block

    @Override
    @SuppressWarnings("MustBeClosedChecker") // giveBack closes it
    public long obtain(long bytes) {
      Arena arena = Arena.ofShared();
      try {
        long address = arena.allocate(bytes, ALIGNMENT).address();
        arenas.put(address, arena);
        return address;
      } catch (OutOfMemoryError e) {
        arena.close();
        throw new DeviceMemoryException("no host memory for %d bytes".formatted(bytes));
      }
    }

    @Override
    public void giveBack(long address, long bytes) {
      Arena arena = arenas.remove(address);
      if (arena == null) {
        throw new IllegalStateException("no block starts at address " + address);
      }
      arena.close();
    }

    @Override
    public String name() {
      return "host memory";
    }
  }
}
