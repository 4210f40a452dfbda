package org.unetrpp.backend.cpu;

import org.unetrpp.memory.HostAllocator;

/** Native memory that grows to the longest request, and is used again by the next. */
final class Scratch implements AutoCloseable {
  private final HostAllocator memory;
  private long address;
  private long bytes;

  Scratch(HostAllocator memory) {
    this.memory = memory;
  }

  /** Address of {@code wanted} bytes of any content, which the next call may move. */
  long reserve(long wanted) {
    if (wanted > bytes) {
      close();
      address = memory.allocate(wanted);
      bytes = wanted;
    }
    return address;
  }

  @Override
  public void close() {
    if (bytes > 0) {
      memory.release(address, bytes);
      bytes = 0;
    }
  }
}
