package org.unetrpp.pipeline;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.unetrpp.grid.Extents;
import org.unetrpp.pipeline.StageClock.Stage;
import org.unetrpp.window.WindowSums;
import org.unetrpp.window.WindowedVolume;

/**
 * Windows that are cut, predicted and added up where the network is; the slices of the image go
 * there once. What takes how long there is counted as the network's time.
 */
final class ResidentWindows implements WindowWork<WindowSums> {
  private static final int DEPTH = 4; // bits of the axes of a mirroring
  private static final int HEIGHT = 2;
  private static final int WIDTH = 1;

  private final WindowedImage image;
  private final WindowedVolume volume;
  private final List<Mirroring> mirrorings;
  private final WindowSums sums;
  private final StageClock clock;
  private int entered; // past the last slice that is there

  /**
   * Over an image.
   *
   * @param volume of {@link #volume} for the image
   * @param sums that were opened for it
   */
  ResidentWindows(
      WindowedImage image,
      WindowedVolume volume,
      SlidingWindow.Settings settings,
      WindowSums sums,
      StageClock clock) {
    this.image = image;
    this.volume = volume;
    this.mirrorings = settings.mirroring().combinations();
    this.sums = sums;
    this.clock = clock;
  }

  /** What is kept of an image while its windows are predicted. */
  static WindowedVolume volume(Extents image, Extents patch, SlidingWindow.Settings settings) {
    List<Extents> windows = SlidingWindow.windows(image, patch, settings.step());
    int atOnce =
        WindowedPrediction.byDepth(windows).stream().mapToInt(List::size).max().orElseThrow();
    return new WindowedVolume(
        image,
        Math.min(patch.depth(), image.depth()),
        Math.min(WindowedPrediction.leastSlices(patch), image.depth()),
        atOnce,
        settings.mirroring().combinations().stream().map(ResidentWindows::axes).toList(),
        windows.size() == 1 ? new float[0] : ImportanceMap.of(patch));
  }

  private static int axes(Mirroring mirroring) {
    return (mirroring.depth() ? DEPTH : 0)
        + (mirroring.height() ? HEIGHT : 0)
        + (mirroring.width() ? WIDTH : 0);
  }

  @Override
  public int capacity() {
    return volume.sumSlices();
  }

  @Override
  public void enter(int from, int to) {
    for (int slice = Math.max(entered, from); slice < to; slice++) {
      for (int channel = 0; channel < image.channels(); channel++) {
        sums.enter(channel, slice, image.slice(channel, slice));
      }
    }
    entered = Math.max(entered, to);
  }

  @Override
  public List<WindowBatch> batches(List<Extents> origins) {
    List<WindowBatch> batches = new ArrayList<>();
    int atOnce = sums.windowsAtOnce();
    for (int first = 0; first < origins.size(); first += atOnce) {
      int end = Math.min(origins.size(), first + atOnce);
      batches.add(new WindowBatch(origins.subList(first, end), mirrorings));
    }
    return batches;
  }

  @Override
  public void predict(WindowBatch batch) {
    clock.time(Stage.NETWORK, () -> sums.add(batch.origins()));
  }

  @Override
  public WindowSums finish(int first, int end) {
    clock.interrupt(Stage.FINISH, Stage.NETWORK, sums::await);
    long index = sums.average(first, end);
    if (index >= 0) {
      requireFinite(index);
    }
    return sums;
  }

  /** Tells of a value that is no number. */
  private void requireFinite(long index) {
    Extents extents = volume.extents();
    int row = (int) (index / extents.width() % extents.height());
    int slice = (int) (index / extents.width() / extents.height() % extents.depth());
    int label = (int) (index / extents.voxels());
    float[] values = new float[extents.height() * extents.width()];
    sums.download(label, slice, MemorySegment.ofArray(values));
    float[] line = new float[extents.width()];
    System.arraycopy(values, row * extents.width(), line, 0, line.length);
    WindowedPrediction.requireFinite(line, label, slice, row);
  }

  @Override
  public void clear(int first, int end) {
    sums.clear(first, end);
  }

  /** The same, whose slices that are done are copied to the host. */
  WindowWork<ProbabilityRing> downloaded(int classes, Arena arena) {
    return new Downloaded(
        this, ProbabilityRing.allocate(classes, volume.extents(), capacity(), arena));
  }

  /**
   * Slices that are done, on the host.
   *
   * @param ring takes them
   */
  private record Downloaded(ResidentWindows windows, ProbabilityRing ring)
      implements WindowWork<ProbabilityRing> {
    @Override
    public int capacity() {
      return windows.capacity();
    }

    @Override
    public void enter(int from, int to) {
      windows.enter(from, to);
    }

    @Override
    public List<WindowBatch> batches(List<Extents> origins) {
      return windows.batches(origins);
    }

    @Override
    public void predict(WindowBatch batch) {
      windows.predict(batch);
    }

    @Override
    public ProbabilityRing finish(int first, int end) {
      WindowSums sums = windows.finish(first, end);
      for (int label = 0; label < ring.classes().size(); label++) {
        for (int slice = first; slice < end; slice++) {
          sums.download(label, slice, ring.slice(label, slice));
        }
      }
      return ring;
    }

    @Override
    public void clear(int first, int end) {
      windows.clear(first, end);
    }
  }
}
