package org.unetrpp.preview;

import java.util.Arrays;
import org.unetrpp.image.Volume;

/**
 * The intensities that a picture shows from black to white.
 *
 * @param low black, in the volume's units
 * @param high white, above {@code low} unless all intensities are one
 */
public record IntensityWindow(double low, double high) {
  /** Soft tissue in HU: level 40, width 400. */
  public static final IntensityWindow SOFT_TISSUE = new IntensityWindow(-160, 240);

  private static final int SAMPLES = 1 << 18;
  private static final double LOW_FRACTION = 0.005;

  /** CT numbers of air, down to what scanners put outside of their field of view. */
  private static final double LEAST_AIR = -3072;

  private static final double MOST_AIR = -500;

  /** CT numbers of the densest half percent: from tissue up to the largest that 12 bits hold. */
  private static final double LEAST_DENSE = 0;

  private static final double MOST_DENSE = 4095;

  /**
   * The window of a volume: soft tissue if its intensities look like HU, with air and tissue; else
   * from the percentile 0.5 to 99.5 of evenly spread voxels.
   */
  public static IntensityWindow of(Volume volume) {
    IntensityWindow all = ofPercentiles(volume.voxels());
    boolean air = all.low >= LEAST_AIR && all.low <= MOST_AIR;
    boolean dense = all.high >= LEAST_DENSE && all.high <= MOST_DENSE;
    return air && dense ? SOFT_TISSUE : all;
  }

  /** The window from the percentile 0.5 to 99.5 of evenly spread voxels. */
  public static IntensityWindow ofPercentiles(float[] voxels) {
    float[] sorted = samples(voxels);
    Arrays.sort(sorted);
    int cut = (int) (LOW_FRACTION * (sorted.length - 1));
    return new IntensityWindow(sorted[cut], sorted[sorted.length - 1 - cut]);
  }

  private static float[] samples(float[] voxels) {
    int stride = Math.ceilDiv(voxels.length, SAMPLES);
    float[] samples = new float[Math.ceilDiv(voxels.length, stride)];
    for (int i = 0; i < samples.length; i++) {
      samples[i] = voxels[i * stride];
    }
    return samples;
  }

  /** The gray of an intensity, 0 to 255. */
  public int gray(double intensity) {
    return high > low ? Math.clamp(Math.round((intensity - low) / (high - low) * 255), 0, 255) : 0;
  }
}
