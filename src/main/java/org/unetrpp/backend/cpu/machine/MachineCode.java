package org.unetrpp.backend.cpu.machine;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Collections;
import org.unetrpp.memory.HostMemory;

/**
 * Functions assembled at run time. Their pages are written first and then made executable, never
 * both at once.
 */
final class MachineCode {
  private static final int PROTECT_READ_WRITE = 3;
  private static final int PROTECT_READ_EXECUTE = 5;
  private static final int MAP_PRIVATE_ANONYMOUS = 0x22;
  private static final long FAILED = -1;

  private static final Linker LINKER = Linker.nativeLinker();
  private static final MethodHandle MMAP =
      system(
          "mmap",
          FunctionDescriptor.of(
              JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
  private static final MethodHandle MPROTECT =
      system("mprotect", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
  private static final MethodHandle MUNMAP =
      system("munmap", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));

  private static final boolean ALLOWED = tryOut();

  private MachineCode() {}

  /** Whether this system is one that code is made for, and allows it. */
  static boolean isAllowed() {
    return ALLOWED;
  }

  private static boolean tryOut() {
    String architecture = System.getProperty("os.arch");
    if (!System.getProperty("os.name").startsWith("Linux")
        || !(architecture.equals("amd64") || architecture.equals("x86_64"))) {
      return false;
    }
    byte[] returns = {(byte) 0xC3};
    try (Arena arena = Arena.ofConfined()) {
      function(returns, 0, arena).invokeExact();
      return true;
    } catch (IllegalStateException e) {
      return false; // hardened systems forbid it
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  @SuppressWarnings("restricted") // native calls are what this class is for
  private static MethodHandle system(String name, FunctionDescriptor type) {
    return LINKER.downcallHandle(LINKER.defaultLookup().findOrThrow(name), type);
  }

  /**
   * A function of addresses.
   *
   * @param code what it does, by the calling convention of System V
   * @param addresses how many it takes, at most six
   * @param arena whose end unmaps the code
   * @throws IllegalStateException if the system gives no executable memory
   */
  @SuppressWarnings("restricted")
  static MethodHandle function(byte[] code, int addresses, Arena arena) {
    MemoryLayout[] parameters =
        Collections.nCopies(addresses, JAVA_LONG).toArray(MemoryLayout[]::new);
    return LINKER.downcallHandle(executable(code, arena), FunctionDescriptor.ofVoid(parameters));
  }

  /** Pages with code that may be executed and not written. */
  @SuppressWarnings("restricted")
  static MemorySegment executable(byte[] code, Arena arena) {
    long bytes = code.length;
    long address = map(bytes);
    MemorySegment.copy(
        MemorySegment.ofArray(code), 0, HostMemory.segment(address, bytes), 0, bytes);
    if (protect(address, bytes) != 0) {
      unmap(address, bytes);
      throw new IllegalStateException("the system allows no code that is made at run time");
    }
    return HostMemory.segment(address, bytes).reinterpret(arena, _ -> unmap(address, bytes));
  }

  private static long map(long bytes) {
    long address;
    try {
      address =
          (long) MMAP.invokeExact(0L, bytes, PROTECT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0L);
    } catch (Throwable e) {
      throw unexpected(e);
    }
    if (address == FAILED) {
      throw new IllegalStateException("mmap of " + bytes + " bytes failed");
    }
    return address;
  }

  private static int protect(long address, long bytes) {
    try {
      return (int) MPROTECT.invokeExact(address, bytes, PROTECT_READ_EXECUTE);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  private static void unmap(long address, long bytes) {
    try {
      int _ = (int) MUNMAP.invokeExact(address, bytes);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  static RuntimeException unexpected(Throwable e) {
    return e instanceof RuntimeException exception
        ? exception
        : e instanceof Error error ? failed(error) : new IllegalStateException(e);
  }

  private static RuntimeException failed(Error error) {
    throw error;
  }
}
