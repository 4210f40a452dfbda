package org.unetrpp.augmentation;

import java.util.OptionalInt;
import org.unetrpp.grid.Extents;
import org.unetrpp.pipeline.Interpolation;
import org.unetrpp.pipeline.Resampling;
import org.unetrpp.pipeline.SplineRule;
import org.unetrpp.pipeline.Workers;

/** Shows a channel as if it had been taken at a lower resolution. */
final class LowResolution {
  private LowResolution() {}

  /**
   * Takes the nearest voxels of a coarser grid, and cubics between them back to the grid there was,
   * in place.
   *
   * @param image holds the channel
   * @param first index of the channel's first voxel
   * @param extents of the channel
   * @param zoom factor of the extents, which are rounded half to even and at least 1
   * @param sliceWise whether all slices are kept
   */
  static void apply(float[] image, int first, Extents extents, double zoom, boolean sliceWise) {
    Extents coarse =
        new Extents(
            sliceWise ? extents.depth() : zoomed(extents.depth(), zoom),
            zoomed(extents.height(), zoom),
            zoomed(extents.width(), zoom));
    float[] channel = new float[Math.toIntExact(extents.voxels())];
    System.arraycopy(image, first, channel, 0, channel.length);
    try (Workers workers = Workers.of(1)) {
      float[] low = resize(channel, extents, coarse, Interpolation.NEAREST, workers);
      float[] back = resize(low, coarse, extents, Interpolation.CUBIC, workers);
      System.arraycopy(back, 0, image, first, back.length);
    }
  }

  private static int zoomed(int extent, double zoom) {
    return Math.max(1, (int) Math.rint(extent * zoom));
  }

  private static float[] resize(
      float[] volume, Extents from, Extents to, Interpolation interpolation, Workers workers) {
    return Resampling.resize(
        volume, from, to, interpolation, OptionalInt.empty(), SplineRule.PINNED, workers);
  }
}
