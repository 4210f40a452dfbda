package org.unetrpp.pipeline;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.grid.Extents;

/**
 * An image that is resampled and normalized slice by slice as windows get to it, and forgotten
 * behind them: as many slices are kept as a patch has.
 */
final class StreamedImage implements WindowedImage {
  /**
   * A channel before it is resampled.
   *
   * @param slices of the channel
   * @param range what its resampled values are clipped to
   * @param normalization of its resampled values
   * @param masked whether voxels outside of the mask become 0
   */
  record Channel(
      VolumeResize.SliceSource slices,
      ValueRange range,
      Normalization.Pointwise normalization,
      boolean masked) {}

  private final VolumeResize resize;
  private final List<Channel> channels;
  private final @Nullable VoxelMask mask;
  private final int capacity;
  private final MemorySegment ring; // (C, capacity, H, W), slice s of the image at s % capacity
  private int ready; // past the last slice that was made

  /**
   * @param mask of the resampled image, needed where a channel is masked
   * @param capacity how many slices are required at a time at the most
   * @param arena where they live; must let every thread in
   */
  StreamedImage(
      VolumeResize resize,
      List<Channel> channels,
      @Nullable VoxelMask mask,
      int capacity,
      Arena arena) {
    this.resize = resize;
    this.channels = List.copyOf(channels);
    this.mask = mask;
    this.capacity = Math.min(capacity, resize.to().depth());
    this.ring = arena.allocate(bytes(resize.to(), channels.size(), capacity), Long.BYTES);
  }

  /** Bytes that the slices take. */
  static long bytes(Extents extents, int channels, int capacity) {
    long slices = Math.min(capacity, extents.depth());
    return (long) Float.BYTES * channels * slices * extents.height() * extents.width();
  }

  @Override
  public Extents extents() {
    return resize.to();
  }

  @Override
  public int channels() {
    return channels.size();
  }

  @Override
  public void require(int from, int to, Workers workers) {
    if (to - from > capacity) {
      throw new IllegalArgumentException(
          "slices %d to %d, expected at most %d".formatted(from, to, capacity));
    }
    int first = Math.max(ready, from);
    int count = Math.max(0, to - first);
    workers.forEach(
        channels.size() * count,
        Scratch::new,
        (scratch, index) -> scratch.make(index / count, first + index % count));
    ready = Math.max(ready, to);
  }

  @Override
  public void readRow(
      int channel, int slice, int row, int column, float[] target, int at, int count) {
    long first = place(channel, slice) + (long) row * extents().width() + column;
    MemorySegment.copy(ring, JAVA_FLOAT, first * Float.BYTES, target, at, count);
  }

  @Override
  public MemorySegment slice(int channel, int slice) {
    return ring.asSlice(place(channel, slice) * Float.BYTES, area() * Float.BYTES);
  }

  private long place(int channel, int slice) {
    return ((long) channel * capacity + slice % capacity) * area();
  }

  private long area() {
    return (long) extents().height() * extents().width();
  }

  /** What one thread needs to make a slice. */
  private final class Scratch {
    private final VolumeResize.Scratch resizing = resize.scratch();
    private final float[] voxels = new float[extents().height() * extents().width()];

    void make(int index, int slice) {
      Channel channel = channels.get(index);
      if (resize.isIdentity()) {
        channel.slices.read(slice, voxels);
      } else {
        channel.range.store(slice, resizing.make(channel.slices, slice), voxels, 0);
      }
      channel.normalization.apply(voxels, 0, voxels.length);
      if (channel.masked && mask != null) {
        clearOutside(mask, slice * voxels.length);
      }
      long first = place(index, slice) * Float.BYTES;
      MemorySegment.copy(voxels, 0, ring, JAVA_FLOAT, first, voxels.length);
    }

    private void clearOutside(VoxelMask inside, int first) {
      for (int voxel = 0; voxel < voxels.length; voxel++) {
        if (!inside.contains(first + voxel)) {
          voxels[voxel] = 0;
        }
      }
    }
  }
}
