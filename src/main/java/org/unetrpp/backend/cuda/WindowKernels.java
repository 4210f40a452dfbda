package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.cuda.driver.KernelArguments;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/**
 * Launches {@code kernels/window.cu}: windows of a volume on the device, on their way into a
 * network and out of it.
 *
 * <p>Axes along which a window is mirrored are bits: 4 for the depth, 2 for the height, 1 for the
 * width.
 */
final class WindowKernels {
  /** Items that {@link #accumulate} takes at once: as many as there are ways to mirror. */
  static final int MOST_ITEMS = 8;

  private static final String FILE = "window";
  private static final int THREADS = 256;
  private static final int AXES = 3;
  private static final int EVERY_AXIS = 7;

  private final CudaContext context;

  WindowKernels(CudaContext context) {
    this.context = context;
  }

  /**
   * Cuts a window out of a volume; zeros where it is outside.
   *
   * @param volume (C, D, H, W) in float32
   * @param extent D, H, W
   * @param origin voxel of the volume where the window begins, below zero outside of it
   * @param mirrored axes
   * @param windows a batch of activations, (B, d, h, w, C)
   * @param slot item of the batch that the window becomes
   * @param window d, h, w
   */
  void gather(
      Buffer volume,
      Extents extent,
      Extents origin,
      int mirrored,
      Buffer windows,
      int slot,
      Extents window) {
    int channels = Math.toIntExact(volume.elements() / extent.voxels());
    long item = channels * window.voxels();
    context.launch(
        FILE,
        CudaContext.entry("window_gather", windows),
        perVoxel(window),
        places(context.arguments(volume, windows.slice(slot * item, item)), extent, origin, window)
            .ints(channels, requireAxes(mirrored)));
  }

  /**
   * Adds the weighted mean of what a network gave for one window, mirrored in several ways.
   *
   * @param predictions (B, K, d, h, w), an item for each of {@code mirrored}
   * @param mirrored axes of each item
   * @param weights of the window's voxels, (d, h, w) in float32, or none for ones
   * @param sums (K, D, H, W) in float32
   * @param extent D, H, W
   * @param origin voxel of the volume where the window begins; what is outside is left out
   * @param window d, h, w
   */
  void accumulate(
      Buffer predictions,
      int[] mirrored,
      @Nullable Buffer weights,
      Buffer sums,
      Extents extent,
      Extents origin,
      Extents window) {
    if (mirrored.length < 1 || mirrored.length > MOST_ITEMS) {
      throw new IllegalArgumentException(
          "mirrored has %d items, expected 1 to %d".formatted(mirrored.length, MOST_ITEMS));
    }
    int masks = 0;
    for (int item = 0; item < mirrored.length; item++) {
      masks |= requireAxes(mirrored[item]) << (AXES * item);
    }
    int classes = Math.toIntExact(sums.elements() / extent.voxels());
    LaunchGeometry ofClass = perVoxel(window);
    context.launch(
        FILE,
        CudaContext.entry("window_accumulate", predictions),
        ofClass.grid(ofClass.gridX(), classes, 1),
        places(context.arguments(predictions, weights, sums), extent, origin, window)
            .ints(mirrored.length, masks)
            .floats(1f / mirrored.length));
  }

  private static int requireAxes(int mirrored) {
    if (mirrored < 0 || mirrored > EVERY_AXIS) {
      throw new IllegalArgumentException(
          "mirrored is %d, expected a sum of 4, 2 and 1".formatted(mirrored));
    }
    return mirrored;
  }

  private static LaunchGeometry perVoxel(Extents window) {
    return LaunchGeometry.threadEach(window.voxels(), THREADS);
  }

  private static KernelArguments places(
      KernelArguments arguments, Extents extent, Extents origin, Extents window) {
    return arguments.ints(extent.toArray()).ints(origin.toArray()).ints(window.toArray());
  }
}
