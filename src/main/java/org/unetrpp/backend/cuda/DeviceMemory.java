package org.unetrpp.backend.cuda;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.PackCache;
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.memory.Allocator;
import org.unetrpp.memory.PooledAllocator;

/**
 * Memory of a device for results, and, apart from it, for packed weights. Both are handed out again
 * as soon as they are released: the stream runs in order, so who used them before is done by then.
 */
final class DeviceMemory implements Allocator, AutoCloseable {
  private final Allocator results;
  private Allocator allocator; // those, unless a plan places them
  private @Nullable List<Runnable> held; // what is released later
  private final PackCache packs;
  private final Runnable trim;
  private final Runnable close;

  private DeviceMemory(Allocator results, Allocator packed, Runnable trim, Runnable close) {
    this.results = results;
    allocator = results;
    this.trim = trim;
    this.close = close;
    packs = new PackCache(packed);
  }

  /** Memory that is kept and handed out again. */
  static DeviceMemory pooled(CudaDriver driver) {
    PooledAllocator results = new PooledAllocator(new DriverMemory(driver));
    PooledAllocator packed = new PooledAllocator(new DriverMemory(driver));
    return new DeviceMemory(
        results,
        packed,
        results::trim,
        () -> {
          packed.close();
          results.close();
        });
  }

  /** Every buffer the driver's own, so that a driver that guards its blocks guards each buffer. */
  static DeviceMemory unpooled(CudaDriver driver) {
    return new DeviceMemory(new Direct(driver), new Direct(driver), () -> {}, () -> {});
  }

  private static final class Direct implements Allocator {
    private final CudaDriver driver;
    private long bytesInUse;

    Direct(CudaDriver driver) {
      this.driver = driver;
    }

    @Override
    public long allocate(long bytes) {
      long address = driver.allocate(bytes);
      bytesInUse += bytes;
      return address;
    }

    @Override
    public void release(long address, long bytes) {
      driver.free(address);
      bytesInUse -= bytes;
    }

    @Override
    public long bytesInUse() {
      return bytesInUse;
    }
  }

  /** Packed weights. */
  PackCache packs() {
    return packs;
  }

  /** Memory for results, wherever they are allocated now. */
  Allocator results() {
    return results;
  }

  /** Gives the device back what no result uses. */
  void trim() {
    trim.run();
  }

  /** Lets {@code by} allocate results while {@code work} runs. */
  <T> T allocating(Allocator by, Supplier<T> work) {
    Allocator before = allocator;
    allocator = by;
    try {
      return work.get();
    } finally {
      allocator = before;
    }
  }

  /**
   * Runs {@code work}, and keeps what is released meanwhile.
   *
   * @return releases that
   */
  Runnable holding(Runnable work) {
    List<Runnable> releases = new ArrayList<>();
    held = releases;
    try {
      work.run();
    } finally {
      held = null;
    }
    return () -> releases.forEach(Runnable::run);
  }

  @Override
  public long allocate(long bytes) {
    return allocator.allocate(bytes);
  }

  @Override
  public void release(long address, long bytes) {
    packs.invalidate(address, bytes);
    if (held == null) {
      allocator.release(address, bytes);
    } else {
      held.add(() -> allocator.release(address, bytes));
    }
  }

  @Override
  public long bytesInUse() {
    return results.bytesInUse();
  }

  @Override
  public void close() {
    packs.close();
    close.run();
  }
}
