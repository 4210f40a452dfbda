package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import org.assertj.core.data.Offset;
import org.unetrpp.backend.ChannelNorm;

/** Statistics of channels in float64, which those that kernels take on the way are held against. */
final class ChannelStatistics {
  // Moments in float, merged a few dozen times: some 2^-23 each of the deviation, or of the mean.
  private static final double TOLERANCE = 4e-6;

  private ChannelStatistics() {}

  /**
   * Asserts that coefficients are those of instance normalization.
   *
   * @param coefficients (B, all, 2) of which channels from {@code first} on are looked at
   * @param values (B, voxels, channels)
   */
  static void assertOf(
      float[] coefficients, int all, int first, double[] values, int batch, int channels) {
    int voxels = values.length / batch / channels;
    for (int item = 0; item < batch; item++) {
      for (int channel = 0; channel < channels; channel++) {
        double mean = 0;
        for (int voxel = 0; voxel < voxels; voxel++) {
          mean += values[(item * voxels + voxel) * channels + channel] / voxels;
        }
        double variance = 0;
        for (int voxel = 0; voxel < voxels; voxel++) {
          double deviation = values[(item * voxels + voxel) * channels + channel] - mean;
          variance += deviation * deviation / voxels;
        }
        double factor = 1 / Math.sqrt(variance + ChannelNorm.EPSILON);
        int at = (item * all + first + channel) * 2;
        assertThat((double) coefficients[at])
            .as("mean of channel %d of item %d", channel, item)
            .isCloseTo(mean, within(TOLERANCE * (Math.abs(mean) + Math.sqrt(variance))));
        assertThat((double) coefficients[at + 1])
            .as("factor of channel %d of item %d", channel, item)
            .isCloseTo(factor, within(TOLERANCE * factor));
      }
    }
  }

  private static Offset<Double> within(double tolerance) {
    return Offset.offset(tolerance);
  }
}
