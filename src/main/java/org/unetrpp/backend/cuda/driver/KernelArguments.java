package org.unetrpp.backend.cuda.driver;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;
import org.unetrpp.memory.Buffer;

/**
 * Arguments of a kernel in the order of its declaration, in one native block that all launches of a
 * thread use again: a driver has copied them when a launch returns.
 */
public final class KernelArguments {
  private static final int SLOTS = 48;

  private final ByteBuffer values = nativeBlock();
  private final ByteBuffer addresses = nativeBlock();
  private int count;

  public KernelArguments() {
    long first = MemorySegment.ofBuffer(values).address();
    for (int slot = 0; slot < SLOTS; slot++) {
      addresses.putLong(slot * Long.BYTES, first + (long) slot * Long.BYTES);
    }
  }

  /** Starts a new list. */
  public KernelArguments start() {
    count = 0;
    return this;
  }

  /** Device addresses; none is the null pointer. */
  public KernelArguments buffers(@Nullable Buffer... buffers) {
    for (Buffer buffer : buffers) {
      values.putLong(nextOffset(), buffer == null ? 0 : buffer.address());
    }
    return this;
  }

  public KernelArguments ints(int... more) {
    for (int value : more) {
      values.putInt(nextOffset(), value);
    }
    return this;
  }

  public KernelArguments longs(long... more) {
    for (long value : more) {
      values.putLong(nextOffset(), value);
    }
    return this;
  }

  public KernelArguments floats(float... more) {
    for (float value : more) {
      values.putFloat(nextOffset(), value);
    }
    return this;
  }

  public KernelArguments doubles(double... more) {
    for (double value : more) {
      values.putDouble(nextOffset(), value);
    }
    return this;
  }

  /** The addresses of the arguments, the array that drivers take. */
  public ByteBuffer addresses() {
    return addresses;
  }

  /** The values, eight bytes for each. */
  public ByteBuffer values() {
    return values;
  }

  /** Number of arguments. */
  public int count() {
    return count;
  }

  private int nextOffset() {
    if (count == SLOTS) {
      throw new IllegalStateException("a kernel takes at most " + SLOTS + " arguments");
    }
    return count++ * Long.BYTES;
  }

  private static ByteBuffer nativeBlock() {
    return ByteBuffer.allocateDirect(SLOTS * Long.BYTES).order(ByteOrder.nativeOrder());
  }
}
