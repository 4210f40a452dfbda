package org.unetrpp.backend.cuda.driver;

import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Another driver, watched: how long each kernel takes, and how much memory is used at most. Work
 * that libraries queue on a stream themselves is not seen.
 */
public final class TimedDriver implements CudaDriver {
  private final CudaDriver driver;
  private final IdentityHashMap<Kernel, String> names = new IdentityHashMap<>();
  private final List<Stream> streams = new ArrayList<>();
  private final Deque<Event> spare = new ArrayDeque<>();
  private final Map<Long, Long> bytesOf = new HashMap<>(); // guarded by itself
  private long bytesInUse; // guarded by bytesOf
  private long mostBytes; // guarded by bytesOf
  private @Nullable List<Launch> launches;

  /**
   * What the launches of one kernel took.
   *
   * @param kernel entry point
   * @param geometry of each launch
   * @param launches number of them
   * @param millis all of them together
   */
  public record KernelTime(String kernel, LaunchGeometry geometry, int launches, double millis) {}

  private record Launch(String kernel, LaunchGeometry geometry, Event before, Event after) {}

  private record Kind(String kernel, LaunchGeometry geometry) {}

  /**
   * Watches a driver.
   *
   * @param driver is closed with this one
   */
  public TimedDriver(CudaDriver driver) {
    this.driver = driver;
  }

  /** From now on measures every launch, at the cost of two events for each. */
  public void begin() {
    launches = new ArrayList<>();
  }

  /**
   * Ends what {@link #begin} began; waits for the launches.
   *
   * @return a sum for each kernel and geometry, in the order of their first launches
   * @throws IllegalStateException if nothing was begun
   */
  public List<KernelTime> end() {
    if (launches == null) {
      throw new IllegalStateException("end() without begin()");
    }
    Map<Kind, KernelTime> times = new LinkedHashMap<>();
    for (Launch launch : launches) {
      double millis = driver.elapsedMillis(launch.before, launch.after);
      times.merge(
          new Kind(launch.kernel, launch.geometry),
          new KernelTime(launch.kernel, launch.geometry, 1, millis),
          (a, b) ->
              new KernelTime(a.kernel, a.geometry, a.launches + b.launches, a.millis + b.millis));
      spare.add(launch.before);
      spare.add(launch.after);
    }
    launches = null;
    return List.copyOf(times.values());
  }

  /** The streams there are, in the order they were made. */
  public List<Stream> streams() {
    return List.copyOf(streams);
  }

  /** The most bytes of the device that were allocated at a time. */
  public long mostBytes() {
    synchronized (bytesOf) {
      return mostBytes;
    }
  }

  @Override
  public Kernel kernel(String file, String entry) {
    Kernel kernel = driver.kernel(file, entry);
    names.put(kernel, entry);
    return kernel;
  }

  @Override
  public String sourceKey(String file) {
    return driver.sourceKey(file);
  }

  @Override
  public void launch(
      Kernel kernel, LaunchGeometry geometry, KernelArguments arguments, Stream stream) {
    if (launches == null) {
      driver.launch(kernel, geometry, arguments, stream);
      return;
    }
    Event before = event();
    Event after = event();
    driver.record(before, stream);
    driver.launch(kernel, geometry, arguments, stream);
    driver.record(after, stream);
    String name = Objects.requireNonNull(names.get(kernel), "a kernel of another driver");
    launches.add(new Launch(name, geometry, before, after));
  }

  private Event event() {
    Event event = spare.poll();
    return event == null ? driver.createEvent() : event;
  }

  @Override
  public long allocate(long bytes) {
    long address = driver.allocate(bytes);
    synchronized (bytesOf) {
      bytesOf.put(address, bytes);
      bytesInUse += bytes;
      mostBytes = Math.max(mostBytes, bytesInUse);
    }
    return address;
  }

  @Override
  public void free(long address) {
    synchronized (bytesOf) {
      bytesInUse -= Objects.requireNonNullElse(bytesOf.remove(address), 0L);
    }
    driver.free(address);
  }

  @Override
  public DeviceProperties device() {
    return driver.device();
  }

  @Override
  public long freeBytes() {
    return driver.freeBytes();
  }

  @Override
  public MemorySegment allocateHost(long bytes) {
    return driver.allocateHost(bytes);
  }

  @Override
  public void freeHost(MemorySegment memory) {
    driver.freeHost(memory);
  }

  @Override
  public void copyToDevice(MemorySegment source, long destination, Stream stream) {
    driver.copyToDevice(source, destination, stream);
  }

  @Override
  public void copyToHost(long source, MemorySegment destination, Stream stream) {
    driver.copyToHost(source, destination, stream);
  }

  @Override
  public void copy(long source, long destination, long bytes, Stream stream) {
    driver.copy(source, destination, bytes, stream);
  }

  @Override
  public void fill(long destination, byte value, long bytes, Stream stream) {
    driver.fill(destination, value, bytes, stream);
  }

  @Override
  public Stream createStream() {
    Stream stream = driver.createStream();
    streams.add(stream);
    return stream;
  }

  @Override
  public void destroy(Stream stream) {
    streams.remove(stream);
    driver.destroy(stream);
  }

  @Override
  public void synchronize(Stream stream) {
    driver.synchronize(stream);
  }

  @Override
  public Event createEvent() {
    return driver.createEvent();
  }

  @Override
  public void destroy(Event event) {
    driver.destroy(event);
  }

  @Override
  public void record(Event event, Stream stream) {
    driver.record(event, stream);
  }

  @Override
  public void await(Event event, Stream stream) {
    driver.await(event, stream);
  }

  @Override
  public void synchronize(Event event) {
    driver.synchronize(event);
  }

  @Override
  public float elapsedMillis(Event first, Event second) {
    return driver.elapsedMillis(first, second);
  }

  @Override
  public void beginCapture(Stream stream) {
    driver.beginCapture(stream);
  }

  @Override
  public Graph endCapture(Stream stream) {
    return driver.endCapture(stream);
  }

  @Override
  public void launch(Graph graph, Stream stream) {
    driver.launch(graph, stream);
  }

  @Override
  public void destroy(Graph graph) {
    driver.destroy(graph);
  }

  @Override
  public void close() {
    spare.forEach(driver::destroy);
    spare.clear();
    driver.close();
  }
}
