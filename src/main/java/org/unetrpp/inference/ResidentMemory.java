package org.unetrpp.inference;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryPoolMXBean;
import java.lang.management.MemoryUsage;
import java.nio.file.Files;
import java.nio.file.Path;

/** What this process has of the machine's memory. */
final class ResidentMemory {
  private static final Path STATUS = Path.of("/proc/self/status");

  private ResidentMemory() {}

  /** Bytes in memory now; on other systems than Linux, bytes of the Java heap. */
  static long bytes() {
    if (Files.exists(STATUS)) {
      try {
        for (String line : Files.readAllLines(STATUS)) {
          if (line.startsWith("VmRSS:")) {
            return 1024 * Long.parseLong(line.replaceAll("\\D", ""));
          }
        }
      } catch (IOException _) {
        // The heap is what is left to ask for.
      }
    }
    return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
  }

  /** Bytes that new objects will touch before any are collected. */
  static long untouchedEden() {
    long bytes = 0;
    for (MemoryPoolMXBean pool : ManagementFactory.getMemoryPoolMXBeans()) {
      if (pool.getName().contains("Eden")) {
        MemoryUsage usage = pool.getUsage();
        bytes += Math.max(0, usage.getCommitted() - usage.getUsed());
      }
    }
    return bytes;
  }
}
