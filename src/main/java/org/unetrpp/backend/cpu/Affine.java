package org.unetrpp.backend.cpu;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.HostMemory;

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

  /** The map that changes nothing. */
  Affine(int channels) {
    this(new float[channels], ones(channels), new float[channels]);
  }

  private static float[] ones(int channels) {
    float[] ones = new float[channels];
    Arrays.fill(ones, 1);
    return ones;
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
    Affine affine = new Affine(channels);
    affine.set(moments, gamma, beta, epsilon);
    return affine;
  }

  /** Becomes the normalization by the moments of each channel; makes no objects. */
  void set(Moments moments, float @Nullable [] gamma, float @Nullable [] beta, double epsilon) {
    for (int channel = 0; channel < channels; channel++) {
      mean[channel] = (float) moments.mean(channel);
      double reciprocal = 1 / Math.sqrt(moments.variance(channel) + epsilon);
      scale[channel] = (float) (gamma == null ? reciprocal : gamma[channel] * reciprocal);
      shift[channel] = beta == null ? 0 : beta[channel];
    }
    Loops.repeatFirst(channels, mean, mean.length);
    Loops.repeatFirst(channels, scale, scale.length);
    Loops.repeatFirst(channels, shift, shift.length);
  }

  int channels() {
    return channels;
  }

  /** Floats that {@link #write} writes for some items. */
  static long tableElements(int channels, int items) {
    return 3L * channels * items;
  }

  /** Writes the maps of all items as {@link PlannedConvolution.Operands} wants them. */
  static void write(Affine[] items, long table) {
    for (int item = 0; item < items.length; item++) {
      Affine affine = items[item];
      int channels = affine.channels;
      long at = table + tableElements(channels, item) * Float.BYTES;
      HostMemory.write(affine.mean, 0, at, channels);
      HostMemory.write(affine.scale, 0, at + (long) channels * Float.BYTES, channels);
      HostMemory.write(affine.shift, 0, at + 2L * channels * Float.BYTES, channels);
    }
  }

  /** Address of the maps of all items as written, in the innermost memory scope. */
  static long table(CpuBackend backend, Affine[] items) {
    long elements = tableElements(items[0].channels, items.length);
    Buffer table = backend.scopes().allocate(DType.FLOAT32, elements);
    write(items, table.address());
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
