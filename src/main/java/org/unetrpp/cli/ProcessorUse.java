package org.unetrpp.cli;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;

/** Who uses the processors of this machine from now on. */
final class ProcessorUse {
  private final OperatingSystemMXBean system =
      ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
  private final long start = System.nanoTime();
  private final long ownAtStart = system.getProcessCpuTime();

  ProcessorUse() {
    double _ = system.getCpuLoad(); // the next answer is of the time since this one
  }

  /**
   * The share of all processors that other processes have taken, 0 to 1; 0 where the system does
   * not tell. To be asked once.
   */
  double others() {
    double all = system.getCpuLoad();
    double elapsed = (double) (System.nanoTime() - start) * system.getAvailableProcessors();
    double own = (system.getProcessCpuTime() - ownAtStart) / elapsed;
    return Double.isFinite(all - own) ? Math.clamp(all - own, 0, 1) : 0;
  }
}
