package org.unetrpp.backend.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.cpu.OneDnn.Descriptor;

/**
 * A primitive of oneDNN, made for one shape, that all threads of a pool may run at the same time:
 * each has its own memory objects.
 */
final class Primitive implements AutoCloseable {
  /** Numbers of arguments in oneDNN's interface. */
  static final int SOURCE = 1;

  static final int DESTINATION = 17;
  static final int WEIGHTS = 33;
  static final int BIAS = 41;
  static final int MEAN = 49;
  static final int VARIANCE = 50;
  static final int SCALE = 51;
  static final int SHIFT = 52;
  static final int SOURCE_GRADIENT = 129;
  static final int DESTINATION_GRADIENT = 145;
  static final int WEIGHTS_GRADIENT = 161;
  static final int SCALE_GRADIENT = 255;
  static final int SHIFT_GRADIENT = 256;
  private static final int SCRATCHPAD = 80;
  private static final int SOURCE_1 = 2;
  private static final int POST_OP_BASE = 32768;

  private static final long ARGUMENT_BYTES = 16;

  private final OneDnn oneDnn;
  private final Arena arena;
  private final String implementation;
  private final long handle;
  private final int[] arguments;
  private final Descriptor[] layouts;
  private final @Nullable Descriptor scratchpad;
  private final long scratchpadBytes;
  private final @Nullable Invocation[] invocations;

  /** The tensor that post-operation {@code index} adds. */
  static int addend(int index) {
    return POST_OP_BASE * (index + 1) | SOURCE_1;
  }

  /**
   * Makes a primitive.
   *
   * @param arguments numbers, in the order that {@link #run} takes addresses
   * @param layouts of the arguments; this primitive closes them
   * @param threads of the pool
   */
  Primitive(
      OneDnn oneDnn,
      Arena arena,
      OneDnn.PrimitiveDescriptor descriptor,
      int[] arguments,
      Descriptor[] layouts,
      int threads) {
    this.oneDnn = oneDnn;
    this.arena = arena;
    this.arguments = arguments;
    this.layouts = layouts;
    implementation = descriptor.implementation();
    handle = oneDnn.createPrimitive(descriptor);
    Descriptor wanted = descriptor.layout(OneDnn.Argument.SCRATCHPAD);
    scratchpadBytes = wanted.bytes();
    if (scratchpadBytes == 0) {
      wanted.close();
      scratchpad = null;
    } else {
      scratchpad = wanted;
    }
    invocations = new Invocation[threads];
  }

  /** The library's name for the code that runs. */
  String implementation() {
    return implementation;
  }

  /** Layout of the argument at {@code position}. */
  Descriptor layout(int position) {
    return layouts[position];
  }

  /** Runs on the calling thread, which is {@code worker}'s. */
  void run(Worker worker, long... addresses) {
    Invocation invocation = invocation(worker);
    for (int index = 0; index < addresses.length; index++) {
      invocation.set(index, addresses[index]);
    }
    invocation.execute(worker);
  }

  /** The same with two addresses, and without an array of them. */
  void run(Worker worker, long first, long second) {
    Invocation invocation = invocation(worker);
    invocation.set(0, first);
    invocation.set(1, second);
    invocation.execute(worker);
  }

  /** The same with three addresses. */
  void run(Worker worker, long first, long second, long third) {
    Invocation invocation = invocation(worker);
    invocation.set(0, first);
    invocation.set(1, second);
    invocation.set(2, third);
    invocation.execute(worker);
  }

  /** The same with four addresses. */
  void run(Worker worker, long first, long second, long third, long fourth) {
    Invocation invocation = invocation(worker);
    invocation.set(0, first);
    invocation.set(1, second);
    invocation.set(2, third);
    invocation.set(3, fourth);
    invocation.execute(worker);
  }

  /** The same with five addresses. */
  void run(Worker worker, long first, long second, long third, long fourth, long fifth) {
    Invocation invocation = invocation(worker);
    invocation.set(0, first);
    invocation.set(1, second);
    invocation.set(2, third);
    invocation.set(3, fourth);
    invocation.set(4, fifth);
    invocation.execute(worker);
  }

  private Invocation invocation(Worker worker) {
    Invocation invocation = invocations[worker.index()];
    if (invocation == null) {
      invocation = new Invocation();
      invocations[worker.index()] = invocation;
    }
    return invocation;
  }

  @Override
  public void close() {
    for (Invocation invocation : invocations) {
      if (invocation != null) {
        invocation.close();
      }
    }
    oneDnn.destroyPrimitive(handle);
    for (Descriptor layout : layouts) {
      layout.close();
    }
    if (scratchpad != null) {
      scratchpad.close();
    }
  }

  /** The argument list of one thread. */
  private final class Invocation {
    private final long[] memories;
    private final long[] addresses; // where each points now
    private final long list;

    Invocation() {
      int count = arguments.length + (scratchpad == null ? 0 : 1);
      memories = new long[count];
      addresses = new long[count];
      MemorySegment segment = arena.allocate(count * ARGUMENT_BYTES, ARGUMENT_BYTES);
      list = segment.address();
      for (int index = 0; index < arguments.length; index++) {
        place(segment, index, arguments[index], layouts[index]);
      }
      if (scratchpad != null) {
        place(segment, arguments.length, SCRATCHPAD, scratchpad);
      }
    }

    private void place(MemorySegment segment, int index, int argument, Descriptor layout) {
      memories[index] = oneDnn.createMemory(layout);
      segment.set(ValueLayout.JAVA_INT, index * ARGUMENT_BYTES, argument);
      segment.set(ValueLayout.JAVA_LONG, index * ARGUMENT_BYTES + Long.BYTES, memories[index]);
    }

    /** Points an argument somewhere; those that the primitive does not have are passed over. */
    void set(int index, long address) {
      if (index < arguments.length) {
        point(index, address);
      }
    }

    private void point(int index, long address) {
      if (addresses[index] != address) {
        oneDnn.setAddress(memories[index], address);
        addresses[index] = address;
      }
    }

    void execute(Worker worker) {
      if (scratchpad != null) {
        point(arguments.length, worker.scratchpad(scratchpadBytes));
      }
      oneDnn.execute(handle, worker.stream(), memories.length, list);
    }

    void close() {
      for (long memory : memories) {
        oneDnn.destroyMemory(memory);
      }
    }
  }
}
