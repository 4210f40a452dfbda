package org.unetrpp.backend.cpu;

import org.jspecify.annotations.Nullable;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * {@code y = (x - mean) scale + shift} with one of each for every channel: what a normalization is
 * once its statistics are known. One call takes a tile of whole rows.
 */
final class Affine {
  private final int channels;
  private final float[] mean;
  private final float[] scale;
  private final float[] shift;

  /** Values for each channel. */
  Affine(float[] mean, float[] scale, float[] shift) {
    channels = mean.length;
    int tile = Loops.tile(channels);
    this.mean = Loops.repeated(mean, tile);
    this.scale = Loops.repeated(scale, tile);
    this.shift = Loops.repeated(shift, tile);
  }

  /**
   * Normalization by the moments of each channel.
   *
   * @param gamma scale after it, or none
   * @param beta shift after it, or none
   */
  static Affine of(
      Moments moments,
      float @Nullable [] gamma,
      float @Nullable [] beta,
      int channels,
      double epsilon) {
    float[] mean = new float[channels];
    float[] scale = new float[channels];
    for (int channel = 0; channel < channels; channel++) {
      mean[channel] = (float) moments.mean(channel);
      double reciprocal = 1 / Math.sqrt(moments.variance(channel) + epsilon);
      scale[channel] = (float) (gamma == null ? reciprocal : gamma[channel] * reciprocal);
    }
    return new Affine(mean, scale, beta == null ? new float[channels] : beta);
  }

  int channels() {
    return channels;
  }

  /**
   * Address of the maps of all items as {@link PlannedConvolution.Operands} wants them, in the
   * innermost memory scope.
   */
  static long table(CpuBackend backend, Affine[] items) {
    int channels = items[0].channels;
    long perItem = 3L * channels;
    Buffer table = backend.scopes().allocate(DType.FLOAT32, perItem * items.length);
    Values values = Values.of(table);
    for (int item = 0; item < items.length; item++) {
      values.write(perItem * item, items[item].mean, channels);
      values.write(perItem * item + channels, items[item].scale, channels);
      values.write(perItem * item + 2L * channels, items[item].shift, channels);
    }
    return table.address();
  }

  /** Maps a tile of whole rows. */
  void apply(float[] x, int count) {
    Loops.normalize(x, mean, scale, shift, count);
  }

  /** Maps a tile and applies LeakyReLU. */
  void applyLeaky(float[] x, float slope, int count) {
    Loops.normalizeLeaky(x, mean, scale, shift, slope, count);
  }

  /** Maps a tile, adds another and applies LeakyReLU. */
  void applyAddLeaky(float[] x, float[] residual, float slope, int count) {
    Loops.normalizeAddLeaky(x, mean, scale, shift, residual, slope, count);
  }
}
