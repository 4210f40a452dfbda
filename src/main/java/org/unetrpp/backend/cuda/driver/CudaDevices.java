package org.unetrpp.backend.cuda.driver;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdevice_attribute;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.cuda.natives.CudaLibraries;
import org.unetrpp.backend.cuda.natives.CudaLibrary;
import org.unetrpp.backend.cuda.natives.LibraryStatus;

/** The NVIDIA GPUs of this machine, and in words why there are none or one cannot be used. */
public final class CudaDevices {
  private static final int OLDEST_CAPABILITY = 75; // the oldest that CUDA 13 compiles for
  private static final int NAME_BYTES = 256;
  private static final double GIBIBYTE = 1L << 30;

  private final CudaLibraries libraries;
  private final List<DeviceProperties> devices;
  private final @Nullable String problem;

  /** Those of this machine, looked for once. */
  private static final class ThisMachine {
    static final CudaDevices DEVICES = new CudaDevices(CudaLibraries.ofThisProcess());
  }

  /** Looks for devices. */
  CudaDevices(CudaLibraries libraries) {
    this.libraries = libraries;
    List<DeviceProperties> found = List.of();
    String failure = libraries.use(CudaLibrary.DRIVER).problem();
    if (failure == null) {
      try {
        found = ask();
      } catch (CudaException e) {
        failure = e.getMessage();
      }
    }
    devices = found;
    problem = failure;
  }

  /** The devices of this machine; the first call loads the driver. */
  public static CudaDevices ofThisMachine() {
    return ThisMachine.DEVICES;
  }

  CudaLibraries libraries() {
    return libraries;
  }

  private static List<DeviceProperties> ask() {
    int[] count = new int[1];
    DriverErrors.check(JCudaDriver.cuDeviceGetCount(count), "cuDeviceGetCount");
    int[] version = new int[1];
    DriverErrors.check(JCudaDriver.cuDriverGetVersion(version), "cuDriverGetVersion");
    List<DeviceProperties> found = new ArrayList<>();
    for (int ordinal = 0; ordinal < count[0]; ordinal++) {
      found.add(properties(ordinal, version[0]));
    }
    return List.copyOf(found);
  }

  private static DeviceProperties properties(int ordinal, int driverVersion) {
    CUdevice device = new CUdevice();
    DriverErrors.check(JCudaDriver.cuDeviceGet(device, ordinal), "cuDeviceGet");
    byte[] name = new byte[NAME_BYTES];
    DriverErrors.check(JCudaDriver.cuDeviceGetName(name, NAME_BYTES, device), "cuDeviceGetName");
    long[] bytes = new long[1];
    DriverErrors.check(JCudaDriver.cuDeviceTotalMem(bytes, device), "cuDeviceTotalMem");
    return new DeviceProperties(
        ordinal,
        new String(name, UTF_8).replaceFirst("\0.*", "").strip(),
        attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
        attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
        attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
        bytes[0],
        attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN),
        driverVersion);
  }

  private static int attribute(CUdevice device, int attribute) {
    int[] value = new int[1];
    DriverErrors.check(
        JCudaDriver.cuDeviceGetAttribute(value, attribute, device), "cuDeviceGetAttribute");
    return value[0];
  }

  /** Ordinal of the first device that can be used; none if none can. */
  public OptionalInt firstUsable() {
    return devices.stream()
        .filter(device -> lacking(device).isEmpty())
        .mapToInt(DeviceProperties::ordinal)
        .findFirst();
  }

  /**
   * A device that can be used.
   *
   * @throws CudaException if there is no such device; the message says why
   */
  DeviceProperties usable(int ordinal) {
    if (problem != null) {
      throw new CudaException(problem);
    }
    if (ordinal < 0 || ordinal >= devices.size()) {
      throw new CudaException(
          "this machine has %d %s, counted from 0"
              .formatted(devices.size(), devices.size() == 1 ? "NVIDIA GPU" : "NVIDIA GPUs"));
    }
    DeviceProperties device = devices.get(ordinal);
    Optional<String> lacking = lacking(device);
    if (lacking.isPresent()) {
      throw new CudaException(lacking.get());
    }
    return device;
  }

  /** What a device lacks for the kernels to run on it, if anything. */
  private static Optional<String> lacking(DeviceProperties device) {
    return 10 * device.major() + device.minor() < OLDEST_CAPABILITY
        ? Optional.of(
            "%s has compute capability %d.%d, 7.5 or later is needed"
                .formatted(device.name(), device.major(), device.minor()))
        : Optional.empty();
  }

  /**
   * Whether a driver is there and yet no device can be used, which is worth telling those who did
   * not ask for one; says why.
   */
  public Optional<String> surprise() {
    if (libraries.use(CudaLibrary.DRIVER).file() == null || firstUsable().isPresent()) {
      return Optional.empty();
    }
    if (problem != null) {
      return Optional.of(problem);
    }
    return devices.stream().flatMap(device -> lacking(device).stream()).findFirst();
  }

  /** Every device and library with what can be said of it: lines for people. */
  public List<String> report() {
    List<String> lines = new ArrayList<>();
    if (problem != null) {
      lines.add("cuda: not usable: " + problem);
    }
    devices.forEach(device -> lines.add(line(device)));
    boolean usable = firstUsable().isPresent();
    for (LibraryStatus library : libraries.useAll()) {
      boolean told = library.library() == CudaLibrary.DRIVER && problem != null;
      if (!told && (usable || library.file() != null)) {
        lines.add("  " + library);
      }
    }
    return lines;
  }

  private static String line(DeviceProperties device) {
    String what =
        String.format(
            Locale.ROOT,
            "%s, %d multiprocessors, %.1f GiB, %s",
            device.name(),
            device.multiprocessors(),
            device.totalBytes() / GIBIBYTE,
            device.architecture());
    return lacking(device)
        .map(lack -> "cuda:%d: not usable: %s (%s)".formatted(device.ordinal(), lack, what))
        .orElseGet(() -> "cuda:%d: usable, %s".formatted(device.ordinal(), what));
  }
}
