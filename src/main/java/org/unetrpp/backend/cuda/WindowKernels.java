package org.unetrpp.backend.cuda;

import java.util.List;
import org.unetrpp.backend.cuda.driver.KernelArguments;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/**
 * Launches {@code kernels/window.cu}: windows of a volume on the device, on their way into a
 * network and out of it, and what is made of their sums.
 */
final class WindowKernels {
  private static final String FILE = "window";
  private static final int THREADS = 256;
  private static final int MOST_TAPS = 2;

  private final CudaContext context;

  WindowKernels(CudaContext context) {
    this.context = context;
  }

  /**
   * Volumes of which so many slices are kept.
   *
   * @param values (N, slices, H, W), slice s of the extents at {@code s % slices}
   * @param count how many volumes there are
   */
  record Ring(Buffer values, int count, Extents extents, int slices) {
    /** Values that such volumes take. */
    static long values(int count, Extents extents, int slices) {
      return (long) count * slices * extents.height() * extents.width();
    }

    long area() {
      return (long) extents.height() * extents.width();
    }

    /** Values of one of the volumes. */
    long plane() {
      return slices * area();
    }

    /** Slices of a volume that lie one after the other. */
    Buffer slices(int volume, int first, int count) {
      return values.slice(volume * plane() + first % slices * area(), count * area());
    }
  }

  /**
   * An axis of labels on the device.
   *
   * @param places where samples lie, in values of a class's ring
   * @param weights of these, in float64
   */
  record Taps(Buffer places, Buffer weights, int count) {}

  /**
   * Cuts the windows of a step out of the image, mirrored.
   *
   * @param step address of a {@link WindowStep}
   * @param patches (B, C, d, h, w), the items that are windows of the step, and zeros
   * @param window d, h, w
   */
  void gather(long step, Buffer patches, int channels, Extents window) {
    int items = Math.toIntExact(patches.elements() / (channels * window.voxels()));
    LaunchGeometry perVoxel = perVoxel(window);
    context.launch(
        FILE,
        CudaContext.entry("window_gather", patches),
        perVoxel.grid(perVoxel.gridX(), items, 1),
        arguments(step, patches).ints(window.toArray()).ints(channels));
  }

  /**
   * Adds one of the windows of a step to the sums of its classes, and its importance to the sum of
   * those.
   *
   * @param step address of a {@link WindowStep}
   * @param predictions (B, K, d, h, w)
   * @param number which window of the step; nothing is done if the step has fewer
   * @param window d, h, w
   */
  void accumulate(long step, Buffer predictions, int classes, int number, Extents window) {
    context.launch(
        FILE,
        CudaContext.entry("window_accumulate", predictions),
        perVoxel(window),
        arguments(step, predictions).ints(window.toArray()).ints(number, classes));
  }

  /**
   * Divides sums by those of the importance.
   *
   * @param sums of the classes, and, if there is a volume more, of the importance
   * @param least takes the least index in (K, D, H, W) of what is no finite number, unless it is
   *     less already, unsigned
   * @param end past the last slice
   */
  void average(Ring sums, int classes, Buffer least, int first, int end) {
    boolean weighted = sums.count() > classes;
    context.launch(
        FILE,
        "window_average",
        LaunchGeometry.threadEach((end - first) * sums.area(), THREADS),
        context
            .arguments(sums.values(), least)
            .ints(classes, weighted ? 1 : 0, sums.slices())
            .ints(sums.extents().toArray())
            .ints(first, end - first));
  }

  /**
   * Resamples probabilities and takes the class of the greatest.
   *
   * @param labels (D, H, W) of bytes
   * @param axes depth, height and width
   * @param extents D, H, W
   */
  void labels(Ring probabilities, int classes, Buffer labels, List<Taps> axes, Extents extents) {
    KernelArguments arguments =
        context
            .arguments(probabilities.values())
            .longs(probabilities.plane())
            .ints(classes)
            .buffers(labels)
            .ints(extents.toArray());
    for (Taps taps : axes) {
      if (taps.count() < 1 || taps.count() > MOST_TAPS) {
        throw new IllegalArgumentException(
            "%d taps, expected 1 to %d".formatted(taps.count(), MOST_TAPS));
      }
      arguments.buffers(taps.places(), taps.weights()).ints(taps.count());
    }
    context.launch(
        FILE, "window_labels", LaunchGeometry.threadEach(extents.voxels(), THREADS), arguments);
  }

  private KernelArguments arguments(long step, Buffer values) {
    return context.arguments().longs(step).buffers(values);
  }

  private static LaunchGeometry perVoxel(Extents window) {
    return LaunchGeometry.threadEach(window.voxels(), THREADS);
  }
}
