package org.unetrpp.backend.cuda;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.window.AxisTaps;
import org.unetrpp.window.WindowSums;
import org.unetrpp.window.WindowedVolume;

/** Slices of an image, and of the sums of its windows, in memory of the device. */
final class CudaWindowSums implements WindowSums {
  /** Of labels and how they are made. */
  private static final long SPARE_BYTES = 64L << 20;

  private static final byte NOTHING_FOUND = -1; // as each byte of the greatest index

  private final CudaWindowEngine engine;
  private final CudaContext context;
  private final DeviceMemory memory;
  private final WindowedVolume volume;
  private final CudaWindowEngine.Planned step;
  private final List<Buffer> owned = new ArrayList<>();
  private final WindowKernels.Ring image;
  private final WindowKernels.Ring sums; // of the classes, and of the importance if there is one
  private final @Nullable Buffer importance;
  private final Buffer least; // index of what is no number

  CudaWindowSums(
      CudaWindowEngine engine,
      CudaContext context,
      DeviceMemory memory,
      WindowedVolume volume,
      CudaWindowEngine.Planned step) {
    this.engine = engine;
    this.context = context;
    this.memory = memory;
    this.volume = volume;
    this.step = step;
    try {
      image = ring(engine.channels(), volume.slices());
      sums = ring(volumes(volume, engine.classes()), volume.sumSlices());
      importance = volume.importance().length == 0 ? null : importance(volume.importance());
      least = allocate(DType.FLOAT64, 1);
    } catch (RuntimeException e) {
      release(0);
      throw e;
    }
    fill(sums.values(), (byte) 0);
  }

  private static int volumes(WindowedVolume volume, int classes) {
    return classes + (volume.importance().length == 0 ? 0 : 1);
  }

  /** Bytes of the device that an image takes. */
  static long bytes(WindowedVolume volume, int channels, int classes) {
    long values =
        WindowKernels.Ring.values(channels, volume.extents(), volume.slices())
            + WindowKernels.Ring.values(
                volumes(volume, classes), volume.extents(), volume.sumSlices())
            + volume.importance().length;
    return values * Float.BYTES + SPARE_BYTES;
  }

  private WindowKernels.Ring ring(int count, int slices) {
    Extents extents = volume.extents();
    long values = WindowKernels.Ring.values(count, extents, slices);
    return new WindowKernels.Ring(allocate(DType.FLOAT32, values), count, extents, slices);
  }

  private Buffer importance(float[] values) {
    Buffer buffer = allocate(DType.FLOAT32, values.length);
    context.staging().toDevice(buffer.address(), MemorySegment.ofArray(values));
    return buffer;
  }

  private Buffer allocate(DType type, long elements) {
    Buffer buffer = new Buffer(memory.results().allocate(elements * type.bytes()), type, elements);
    owned.add(buffer);
    return buffer;
  }

  /** Gives back what was allocated since there were so many buffers. */
  private void release(int kept) {
    while (owned.size() > kept) {
      Buffer buffer = owned.removeLast();
      memory.results().release(buffer.address(), buffer.bytes());
    }
  }

  private void fill(Buffer buffer, byte value) {
    context.driver().fill(buffer.address(), value, buffer.bytes(), context.stream());
  }

  @Override
  public int windowsAtOnce() {
    return step.batch().windows();
  }

  @Override
  public void enter(int channel, int slice, MemorySegment values) {
    context.staging().toDevice(image.slices(channel, slice, 1).address(), values);
  }

  @Override
  public void add(List<Extents> origins) {
    if (origins.size() > windowsAtOnce()) {
      throw new IllegalArgumentException(
          "%d windows, expected at most %d".formatted(origins.size(), windowsAtOnce()));
    }
    engine.step().queue(image, sums, importance, volume.mirrorings(), origins, step::run);
  }

  @Override
  public void await() {
    context.driver().synchronize(context.stream());
  }

  @Override
  public long average(int first, int end) {
    fill(least, NOTHING_FOUND);
    engine.kernels().average(sums, engine.classes(), least, first, end);
    long[] index = new long[1];
    context.staging().toHost(least.address(), MemorySegment.ofArray(index));
    return index[0];
  }

  @Override
  public void download(int label, int slice, MemorySegment target) {
    Buffer source = sums.slices(label, slice, 1);
    context.staging().toHost(source.address(), target);
  }

  @Override
  public byte[] labels(List<AxisTaps> axes) {
    int kept = owned.size();
    try {
      List<WindowKernels.Taps> taps = axes.stream().map(this::taps).toList();
      Extents extents =
          new Extents(axes.get(0).length(), axes.get(1).length(), axes.get(2).length());
      byte[] labels = new byte[Math.toIntExact(extents.voxels())];
      Buffer made = allocate(DType.FLOAT32, Math.ceilDiv(labels.length, Float.BYTES));
      engine.kernels().labels(sums, engine.classes(), made, taps, extents);
      context.staging().toHost(made.address(), MemorySegment.ofArray(labels));
      return labels;
    } finally {
      release(kept);
    }
  }

  /** Where the samples of an axis lie in a class's slices, and their weights. */
  private WindowKernels.Taps taps(AxisTaps axis) {
    Extents extents = volume.extents();
    long[] places = new long[axis.indices().length];
    for (int i = 0; i < places.length; i++) {
      int index = axis.indices()[i];
      places[i] =
          switch (axis.axis()) {
            case 0 -> index % sums.slices() * sums.area();
            case 1 -> (long) index * extents.width();
            default -> index;
          };
    }
    Buffer ofPlaces = allocate(DType.FLOAT64, places.length);
    context.staging().toDevice(ofPlaces.address(), MemorySegment.ofArray(places));
    Buffer ofWeights = allocate(DType.FLOAT64, places.length);
    context.staging().toDevice(ofWeights.address(), MemorySegment.ofArray(axis.weights()));
    return new WindowKernels.Taps(ofPlaces, ofWeights, axis.taps());
  }

  @Override
  public void clear(int first, int end) {
    int slice = first;
    while (slice < end) {
      int count = Math.min(end - slice, sums.slices() - slice % sums.slices());
      for (int number = 0; number < sums.count(); number++) {
        fill(sums.slices(number, slice, count), (byte) 0);
      }
      slice += count;
    }
  }

  @Override
  public void close() {
    release(0);
    step.release();
  }
}
