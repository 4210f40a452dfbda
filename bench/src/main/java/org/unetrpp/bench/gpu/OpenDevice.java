package org.unetrpp.bench.gpu;

import com.google.errorprone.annotations.MustBeClosed;
import java.util.Optional;
import java.util.function.Supplier;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.cuda.CudaBackend;
import org.unetrpp.backend.cuda.Providers;
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.backend.cuda.driver.JcudaDriver;
import org.unetrpp.backend.cuda.driver.TimedDriver;
import org.unetrpp.engine.Device;
import org.unetrpp.engine.Engine;
import org.unetrpp.memory.DType;

/**
 * A backend of its own and, of a GPU, the driver below it.
 *
 * @param driver empty for the CPU
 */
record OpenDevice(Backend backend, Optional<TimedDriver> driver) implements AutoCloseable {
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // close closes them
  static OpenDevice open(Device device, DType computeType, Supplier<Providers> providers) {
    return switch (device) {
      case Device.Cpu() ->
          new OpenDevice(
              Engine.open(device, Engine.defaultThreads(), computeType), Optional.empty());
      case Device.Cuda(int ordinal) -> {
        TimedDriver driver = new TimedDriver(JcudaDriver.open(ordinal));
        try {
          yield new OpenDevice(
              new CudaBackend(driver, computeType, providers.get()), Optional.of(driver));
        } catch (RuntimeException e) {
          driver.close();
          throw e;
        }
      }
    };
  }

  /** The stream that the backend works on. */
  static CudaDriver.Stream stream(TimedDriver driver) {
    return driver.streams().getFirst();
  }

  @Override
  public void close() {
    backend.close();
  }
}
