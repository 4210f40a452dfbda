package org.unetrpp.augmentation;

import java.util.Arrays;
import org.unetrpp.grid.Extents;

/**
 * Blurs a channel by a Gaussian, axis after axis, in place: {@code scipy.ndimage.gaussian_filter},
 * with sums in double and a float after each axis. The border is mirrored half a voxel past the
 * last one; the kernel ends four standard deviations from its center.
 */
final class GaussianBlur {
  private static final double WIDTH_IN_DEVIATIONS = 4;

  private final float[] image;
  private final int first;
  private final Extents extents;

  /** Half of the kernel, from its center on. */
  private final double[] kernel;

  private GaussianBlur(float[] image, int first, Extents extents, double deviation) {
    this.image = image;
    this.first = first;
    this.extents = extents;
    this.kernel = kernel(deviation);
  }

  /**
   * Blurs.
   *
   * @param image holds the channel
   * @param first index of the channel's first voxel
   * @param extents of the channel
   * @param deviation standard deviation in voxels
   */
  static void apply(float[] image, int first, Extents extents, double deviation) {
    GaussianBlur blur = new GaussianBlur(image, first, extents, deviation);
    int area = extents.height() * extents.width();
    blur.along(extents.depth(), area, 1, 0);
    blur.along(extents.height(), extents.width(), extents.depth(), area);
    blur.alongRows();
  }

  private static double[] kernel(double deviation) {
    double[] kernel = new double[(int) (WIDTH_IN_DEVIATIONS * deviation + 0.5) + 1];
    double sum = 0;
    for (int tap = 0; tap < kernel.length; tap++) {
      kernel[tap] = Math.exp(-0.5 * tap * tap / (deviation * deviation));
      sum += tap == 0 ? kernel[tap] : 2 * kernel[tap];
    }
    for (int tap = 0; tap < kernel.length; tap++) {
      kernel[tap] /= sum;
    }
    return kernel;
  }

  /**
   * Blurs {@code blocks} blocks of {@code length} lines of {@code lanes} voxels across the lines.
   */
  private void along(int length, int lanes, int blocks, int blockSize) {
    float[] before = new float[length * lanes];
    double[] sums = new double[lanes];
    for (int block = 0; block < blocks; block++) {
      int start = first + block * blockSize;
      System.arraycopy(image, start, before, 0, before.length);
      for (int line = 0; line < length; line++) {
        Arrays.fill(sums, 0);
        addScaled(sums, kernel[0], before, line * lanes);
        for (int tap = 1; tap < kernel.length; tap++) {
          addScaled(sums, kernel[tap], before, reflect(line - tap, length) * lanes);
          addScaled(sums, kernel[tap], before, reflect(line + tap, length) * lanes);
        }
        store(sums, lanes, start + line * lanes);
      }
    }
  }

  private void alongRows() {
    int width = extents.width();
    int radius = kernel.length - 1;
    float[] padded = new float[width + 2 * radius];
    double[] sums = new double[width];
    for (int row = 0; row < extents.depth() * extents.height(); row++) {
      int start = first + row * width;
      System.arraycopy(image, start, padded, radius, width);
      for (int past = 1; past <= radius; past++) {
        padded[radius - past] = image[start + reflect(-past, width)];
        padded[radius + width - 1 + past] = image[start + reflect(width - 1 + past, width)];
      }
      Arrays.fill(sums, 0);
      addScaled(sums, kernel[0], padded, radius);
      for (int tap = 1; tap < kernel.length; tap++) {
        addScaled(sums, kernel[tap], padded, radius - tap);
        addScaled(sums, kernel[tap], padded, radius + tap);
      }
      store(sums, width, start);
    }
  }

  private static void addScaled(double[] sums, double factor, float[] values, int from) {
    for (int lane = 0; lane < sums.length; lane++) {
      sums[lane] += factor * values[from + lane];
    }
  }

  private void store(double[] sums, int count, int to) {
    for (int lane = 0; lane < count; lane++) {
      image[to + lane] = (float) sums[lane];
    }
  }

  /** The index that an index past the ends is the mirror image of, half a voxel past them. */
  private static int reflect(int index, int length) {
    int folded = Math.floorMod(index, 2 * length);
    return folded < length ? folded : 2 * length - 1 - folded;
  }
}
