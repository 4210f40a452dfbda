package org.unetrpp.backend.cuda;

import com.google.errorprone.annotations.MustBeClosed;
import java.lang.foreign.MemorySegment;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.backend.cuda.driver.DeviceProperties;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.DType;

/**
 * An emulated device as large as an H200 that runs no kernel, and counts those of a recording.
 * Whatever is read back is zero, so that all providers agree.
 */
public final class CountingCuda {
  private static final long MEMORY = 16L << 30;
  private static final DeviceProperties H200 =
      new DeviceProperties(0, "counting device", 9, 0, 132, MEMORY, 227 << 10, 13_000);

  private final CudaDriver driver = new EmulatedDriver(MEMORY);
  private final IdentityHashMap<Object, String> names = new IdentityHashMap<>(); // of kernels
  private final TreeMap<Launch, Integer> launches = new TreeMap<>();
  private final Map<String, Integer> alone = new TreeMap<>();
  private boolean recording;
  private int graphs; // launched

  /**
   * A kernel as it was launched.
   *
   * @param kernel its entry point
   * @param blocks of the grid
   */
  public record Launch(String kernel, long blocks) implements Comparable<Launch> {
    private static Launch of(String kernel, LaunchGeometry geometry) {
      long blocks = (long) geometry.gridX() * geometry.gridY() * geometry.gridZ();
      return new Launch(kernel, blocks);
    }

    @Override
    public int compareTo(Launch other) {
      int order = kernel.compareTo(other.kernel);
      return order == 0 ? Long.compare(blocks, other.blocks) : order;
    }
  }

  /** A backend on the device, on tensor cores where there are kernels for them. */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the caller closes it
  public CudaBackend open(DType computeType) {
    CudaDriver counting =
        (CudaDriver)
            Proxy.newProxyInstance(
                CudaDriver.class.getClassLoader(),
                new Class<?>[] {CudaDriver.class},
                (_, method, arguments) -> invoke(method, arguments));
    return EmulatedCuda.onTensorCores(
        providers -> new CudaBackend(counting, computeType, providers));
  }

  private @Nullable Object invoke(Method method, Object @Nullable [] arguments) throws Throwable {
    String kernel =
        arguments == null || !method.getName().equals("launch") ? null : names.get(arguments[0]);
    if (kernel != null) {
      if (recording) {
        LaunchGeometry geometry = (LaunchGeometry) Objects.requireNonNull(arguments)[1];
        launches.merge(Launch.of(kernel, geometry), 1, Integer::sum);
      } else {
        alone.merge(kernel, 1, Integer::sum);
      }
      return null;
    }
    if (method.getName().equals("launch")) {
      graphs++;
    }
    switch (method.getName()) {
      case "device" -> {
        return H200;
      }
      case "beginCapture" -> {
        recording = true;
        launches.clear();
      }
      case "endCapture" -> recording = false;
      case "copyToHost" -> {
        ((MemorySegment) Objects.requireNonNull(arguments)[1]).fill((byte) 0);
        return null;
      }
      default -> {}
    }
    Object result;
    try {
      result = method.invoke(driver, arguments);
    } catch (InvocationTargetException e) {
      throw e.getTargetException();
    }
    if (method.getName().equals("kernel")) {
      names.put(Objects.requireNonNull(result), (String) Objects.requireNonNull(arguments)[1]);
    }
    return result;
  }

  /** Launches of each kernel that were not recorded. */
  public Map<String, Integer> launchesAlone() {
    return Map.copyOf(alone);
  }

  /** How often a recording was launched. */
  public int graphLaunches() {
    return graphs;
  }

  /** How often each was launched in the last recording. */
  public SortedMap<Launch, Integer> launches() {
    return Collections.unmodifiableSortedMap(new TreeMap<>(launches));
  }

  /** How often a kernel was launched in the last recording. */
  public int launchesOf(String kernel) {
    return launches.entrySet().stream()
        .filter(launch -> launch.getKey().kernel.equals(kernel))
        .mapToInt(Map.Entry::getValue)
        .sum();
  }
}
