package org.unetrpp.backend.cuda.driver;

import java.lang.foreign.MemorySegment;
import org.unetrpp.memory.DeviceMemoryException;

/**
 * One device through its driver: memory, streams, events, kernels, graphs. Work on a stream runs in
 * the order it was queued. Driven by one thread at a time, except for {@link #allocate} and {@link
 * #free}.
 *
 * <p>Every method throws {@link CudaException} when the driver refuses, or when work queued before
 * has failed.
 */
public interface CudaDriver extends AutoCloseable {
  /** A queue of work. */
  interface Stream {}

  /** A point in a stream. */
  interface Event {}

  /** One compiled entry point. */
  interface Kernel {}

  /** Recorded work that is queued as one. */
  interface Graph {}

  /** The device. */
  DeviceProperties device();

  /**
   * Fresh device memory, aligned for every vector load: to 16 bytes at least.
   *
   * @throws DeviceMemoryException if the device has not enough left; the message names the bytes
   *     asked for, free and in total
   */
  long allocate(long bytes);

  /** Gives back what {@link #allocate} gave. Waits for queued work. */
  void free(long address);

  /** Bytes of the device that nothing uses. */
  long freeBytes();

  /** Host memory that copies from and to the device are fastest with; zeroed. */
  MemorySegment allocateHost(long bytes);

  /** Gives back what {@link #allocateHost} gave. */
  void freeHost(MemorySegment memory);

  /** Queues a copy from native host memory, which must stay as it is until the stream is there. */
  void copyToDevice(MemorySegment source, long destination, Stream stream);

  /** Queues a copy to native host memory. */
  void copyToHost(long source, MemorySegment destination, Stream stream);

  /** Queues a copy within the device. */
  void copy(long source, long destination, long bytes, Stream stream);

  /** Queues writing {@code value} to each of {@code bytes} bytes. */
  void fill(long destination, byte value, long bytes, Stream stream);

  /** A new stream that does not wait for others. */
  Stream createStream();

  /** Ends a stream; work that was queued still runs. */
  void destroy(Stream stream);

  /** Waits for all work of a stream. */
  void synchronize(Stream stream);

  /** A new event, with time stamps. */
  Event createEvent();

  void destroy(Event event);

  /** Queues reaching {@code event}. */
  void record(Event event, Stream stream);

  /** Lets what {@code stream} is given from now on wait until {@code event} is reached. */
  void await(Event event, Stream stream);

  /** Waits until {@code event} is reached; one that was never queued is not waited for. */
  void synchronize(Event event);

  /** Milliseconds between two events; waits for the second. */
  float elapsedMillis(Event first, Event second);

  /**
   * An entry point of a kernel file, loaded on first use and kept.
   *
   * @param file name of the file without its ending, as in {@code layer_norm}
   * @param entry name of the entry point, as in {@code layer_norm_forward_f32}
   * @throws CudaException if the file has no such entry point
   */
  Kernel kernel(String file, String entry);

  /**
   * Something short that differs where a kernel file does, or a header of it.
   *
   * @throws CudaException if there is no such file
   */
  String sourceKey(String file);

  /** Queues a kernel. */
  void launch(Kernel kernel, LaunchGeometry geometry, KernelArguments arguments, Stream stream);

  /** Records what is queued on {@code stream} from now on, instead of running it. */
  void beginCapture(Stream stream);

  /** Ends the recording. */
  Graph endCapture(Stream stream);

  /** Queues recorded work. */
  void launch(Graph graph, Stream stream);

  void destroy(Graph graph);

  /** Frees what is left on the device. */
  @Override
  void close();
}
