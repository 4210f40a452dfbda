package org.unetrpp.pipeline;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.function.IntConsumer;
import org.unetrpp.grid.Extents;
import org.unetrpp.window.AxisTaps;
import org.unetrpp.window.WindowSums;

/**
 * Makes labels of probabilities as these are done, from the first slice that the network saw to the
 * last: resamples what they suffice for to the grid of the image, and takes the class of the
 * greatest probability there, the first of equal ones.
 *
 * <p>Linear interpolation needs two neighboring samples, so each voxel has the same value however
 * many slices are done at a time.
 */
final class SlabExport {
  /** Labels that are made at once where the network is, unless a slice has more. */
  private static final int RESIDENT_LABELS = 1 << 24;

  private final CaseGeometry geometry;
  private final AxisOrder back;
  private final VolumeResize resize;

  /** The axis of the image along which slices come. */
  private final int axis;

  private final Workers workers;
  private final byte[] labels;
  private final List<float[]> probabilities;
  private int made; // results along the axis

  /**
   * @param classes how many there are
   * @param takesProbabilities whether these are kept
   */
  SlabExport(CaseGeometry geometry, int classes, boolean takesProbabilities, Workers workers) {
    this.geometry = geometry;
    this.workers = workers;
    this.back = geometry.transposeForward().inverse();
    this.resize = resizeOf(geometry);
    this.axis = geometry.transposeForward().first();
    int voxels = Math.toIntExact(geometry.original().voxels());
    this.labels = new byte[voxels];
    this.probabilities = new ArrayList<>();
    for (int label = 0; takesProbabilities && label < classes; label++) {
      float[] volume = new float[voxels];
      if (label == 0 && !geometry.crop().extents().equals(geometry.original())) {
        Arrays.fill(volume, 1); // what was cropped is certainly background
      }
      probabilities.add(volume);
    }
  }

  /** From the network's voxels to those of the cropped image, both in the image's order of axes. */
  static VolumeResize resizeOf(CaseGeometry geometry) {
    AxisOrder back = geometry.transposeForward().inverse();
    OptionalInt separateAxis =
        Resampling.separateAxis(geometry.originalSpacing(), geometry.resampledSpacing());
    return Resampling.resizeOf(
        back.apply(geometry.resampled()),
        geometry.crop().extents(),
        Interpolation.LINEAR,
        separateAxis,
        SplineRule.PINNED);
  }

  /** A class of each voxel of the image, unsigned, 0 outside of the crop. */
  byte[] labels() {
    return labels;
  }

  /** Probabilities of each class at each voxel of the image; empty if they are not kept. */
  List<float[]> probabilities() {
    return probabilities;
  }

  /** Takes more slices; a {@link WindowedPrediction.Sink}. */
  int accept(ProbabilityRing ring, int end) {
    return advance(end, next -> make(ring, next));
  }

  /** Takes more slices where the network is; a {@link WindowedPrediction.Sink}. */
  int acceptResident(WindowSums sums, int end) {
    long area = resize.to().voxels() / resize.to().along(axis);
    int most = (int) Math.max(1, RESIDENT_LABELS / area);
    return advance(
        end,
        next -> {
          for (int first = made; first < next; first += most) {
            makeResident(sums, first, Math.min(next, first + most));
          }
        });
  }

  /** Makes the results that slices before {@code end} suffice for. */
  private int advance(int end, IntConsumer make) {
    AxisKernel along = resize.along(axis);
    int next = made;
    while (next < along.to() && along.lastTap(next) < end) {
      next++;
    }
    if (next > made) {
      make.accept(next);
      made = next;
    }
    return made < along.to() ? Math.min(end, along.firstTap(made)) : end;
  }

  private void makeResident(WindowSums sums, int first, int end) {
    VolumeResize part = resize.part(axis, first, end);
    List<AxisTaps> axes = new ArrayList<>();
    for (int along = 0; along < 3; along++) {
      int begin = along == axis ? resize.along(axis).firstTap(first) : 0;
      axes.add(part.along(along).taps(back.along(along), begin));
    }
    byte[] values = sums.labels(axes);
    Extents extents = part.to();
    Extents place = placeOf(first);
    for (int row = 0; row < extents.depth() * extents.height(); row++) {
      int target = voxel(place, row / extents.height(), row % extents.height());
      System.arraycopy(values, row * extents.width(), labels, target, extents.width());
    }
  }

  /** Where in the image the results from {@code first} on along the axis lie. */
  private Extents placeOf(int first) {
    int[] origin = geometry.crop().origin().toArray();
    origin[axis] += first;
    return Extents.of(origin);
  }

  /** The first of a row of results in the image. */
  private int voxel(Extents place, int slice, int row) {
    Extents whole = geometry.original();
    int line = (place.depth() + slice) * whole.height() + place.height() + row;
    return line * whole.width() + place.width();
  }

  private void make(ProbabilityRing ring, int end) {
    AxisKernel along = resize.along(axis);
    VolumeResize part = resize.part(axis, made, end);
    int first = along.firstTap(made);
    int last = along.lastTap(end - 1);
    List<TurnedSlices> classes = new ArrayList<>();
    for (int label = 0; label < ring.classes().size(); label++) {
      classes.add(ring.turned(label, back, first, last + 1));
    }
    Extents place = placeOf(made);
    workers.forEach(
        part.to().depth(),
        () -> new Scratch(part, place),
        (scratch, slice) -> scratch.make(classes, slice));
  }

  /** What one thread needs to make labels of a slice. */
  private final class Scratch {
    private final Extents extents;
    private final Extents place;
    private final VolumeResize.Scratch resizing;
    private final float[] best;

    /**
     * @param place of the part in the image
     */
    Scratch(VolumeResize part, Extents place) {
      this.extents = part.to();
      this.place = place;
      this.resizing = part.scratch();
      this.best = new float[extents.height() * extents.width()];
    }

    void make(List<TurnedSlices> classes, int slice) {
      for (int label = 0; label < classes.size(); label++) {
        double[][] rows = resizing.make(classes.get(label), slice);
        for (int row = 0; row < extents.height(); row++) {
          int first = voxel(place, slice, row);
          offer(label, rows[row], row * extents.width(), first);
          if (!probabilities.isEmpty()) {
            keep(rows[row], probabilities.get(label), first);
          }
        }
      }
    }

    private void offer(int label, double[] row, int bestFirst, int first) {
      for (int column = 0; column < extents.width(); column++) {
        float value = (float) row[column];
        if (label == 0 || value > best[bestFirst + column]) {
          best[bestFirst + column] = value;
          labels[first + column] = (byte) label;
        }
      }
    }

    private void keep(double[] row, float[] target, int first) {
      for (int column = 0; column < extents.width(); column++) {
        target[first + column] = (float) row[column];
      }
    }
  }

  /** Bytes of the labels, and of those that come from where the network is at a time. */
  static long residentBytes(CaseGeometry geometry) {
    Extents crop = geometry.crop().extents();
    long slice = crop.voxels() / crop.along(geometry.transposeForward().first());
    long atOnce = Math.min(crop.voxels(), Math.max(RESIDENT_LABELS, slice));
    return geometry.original().voxels() + atOnce;
  }

  /** About the bytes that threads need to make slices: one in float, and what resampling takes. */
  static long scratchBytes(CaseGeometry geometry, int threads) {
    Extents crop = geometry.crop().extents();
    long slice = (long) crop.height() * crop.width() * Float.BYTES;
    return threads * slice + resizeOf(geometry).scratchBytes(threads);
  }
}
