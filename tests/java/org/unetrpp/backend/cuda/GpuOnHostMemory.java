package org.unetrpp.backend.cuda;

import java.lang.foreign.MemorySegment;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.backend.cuda.driver.JcudaDriver;

/**
 * A GPU as tests expect an emulated device to be: its memory is the host's, pinned, which the GPU
 * reaches at the same addresses; fresh memory is full of NaN; work is done when it was queued.
 */
final class GpuOnHostMemory implements InvocationHandler {
  private static final byte POISON = (byte) 0xFF; // NaN in every type

  private final CudaDriver driver;
  private final Map<Long, MemorySegment> blocks = new HashMap<>();
  private long launches;

  /**
   * Opens a GPU.
   *
   * @param ordinal its number
   */
  GpuOnHostMemory(int ordinal) {
    driver = JcudaDriver.open(ordinal);
  }

  /** The GPU. */
  CudaDriver driver() {
    return (CudaDriver)
        Proxy.newProxyInstance(
            CudaDriver.class.getClassLoader(), new Class<?>[] {CudaDriver.class}, this);
  }

  /** Kernels launched so far. */
  long launches() {
    return launches;
  }

  @Override
  public @Nullable Object invoke(Object proxy, Method method, Object @Nullable [] arguments)
      throws Throwable {
    return switch (method.getName()) {
      case "allocate" -> {
        MemorySegment block = driver.allocateHost(Math.max(1, (long) first(arguments)));
        block.fill(POISON);
        blocks.put(block.address(), block);
        yield block.address();
      }
      case "free" -> {
        driver.freeHost(Objects.requireNonNull(blocks.remove((long) first(arguments))));
        yield null;
      }
      case "launch" -> {
        launches++;
        yield waited(method, Objects.requireNonNull(arguments));
      }
      case "copy", "copyToDevice", "copyToHost", "fill" ->
          waited(method, Objects.requireNonNull(arguments));
      default -> call(method, arguments);
    };
  }

  private static Object first(Object @Nullable [] arguments) {
    return Objects.requireNonNull(arguments)[0];
  }

  /** Calls, and waits for the stream, which is the last argument. */
  private @Nullable Object waited(Method method, Object[] arguments) throws Throwable {
    Object result = call(method, arguments);
    driver.synchronize((CudaDriver.Stream) arguments[arguments.length - 1]);
    return result;
  }

  private @Nullable Object call(Method method, Object @Nullable [] arguments) throws Throwable {
    try {
      return method.invoke(driver, arguments);
    } catch (InvocationTargetException e) {
      throw e.getTargetException();
    }
  }
}
