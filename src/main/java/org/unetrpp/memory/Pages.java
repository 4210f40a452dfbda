package org.unetrpp.memory;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;
import java.util.Optional;

/** The system's pages of memory that stays allocated. */
public final class Pages {
  private static final String LINUX = "Linux";
  private static final int DONT_NEED = 4; // MADV_DONTNEED of Linux

  private static final Optional<MethodHandle> ADVISE =
      function("madvise", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
  private static final Optional<MethodHandle> PAGE_SIZE =
      function("getpagesize", FunctionDescriptor.of(JAVA_INT));

  private Pages() {}

  @SuppressWarnings("restricted") // native calls are what this class is for
  private static Optional<MethodHandle> function(String name, FunctionDescriptor type) {
    if (!System.getProperty("os.name").startsWith(LINUX)) {
      return Optional.empty();
    }
    Linker linker = Linker.nativeLinker();
    return linker.defaultLookup().find(name).map(address -> linker.downcallHandle(address, type));
  }

  /**
   * Gives the system back the pages that lie wholly within some bytes, whose values are lost. Where
   * that is not possible nothing happens.
   */
  public static void discard(long address, long bytes) {
    if (ADVISE.isEmpty() || PAGE_SIZE.isEmpty()) {
      return;
    }
    try {
      int page = (int) PAGE_SIZE.get().invokeExact();
      long first = Math.ceilDiv(address, page) * page;
      long end = (address + bytes) / page * page;
      if (first < end) {
        int _ = (int) ADVISE.get().invokeExact(first, end - first, DONT_NEED);
      }
    } catch (Throwable e) {
      throw new IllegalStateException("madvise cannot be called", e);
    }
  }
}
