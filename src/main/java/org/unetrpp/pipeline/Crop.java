package org.unetrpp.pipeline;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.unetrpp.grid.Extents;

/** Cropping an image to what is not zero, and putting labels back where they were. */
public final class Crop {
  /** Words of 64 voxels that one index of a loop fills. */
  private static final int WORDS_PER_CHUNK = 4096;

  private Crop() {}

  /**
   * The voxels where any channel is not zero; NaN is not zero. Holes are not filled: that moves no
   * bounding box, and {@link VoxelMask#withHolesFilled} does it where the mask itself counts.
   */
  public static VoxelMask nonzero(MultiChannelImage image, Workers workers) {
    int voxels = Math.toIntExact(image.extents().voxels());
    long[] words = new long[Math.ceilDiv(voxels, Long.SIZE)];
    workers.forEach(
        Math.ceilDiv(words.length, WORDS_PER_CHUNK),
        chunk -> {
          int end = Math.min(words.length, (chunk + 1) * WORDS_PER_CHUNK);
          for (int word = chunk * WORDS_PER_CHUNK; word < end; word++) {
            words[word] = nonzeroWord(image.channels(), word * Long.SIZE, voxels);
          }
        });
    return new VoxelMask(image.extents(), new Bits(words));
  }

  private static long nonzeroWord(List<float[]> channels, int first, int voxels) {
    int count = Math.min(Long.SIZE, voxels - first);
    long word = 0;
    for (float[] channel : channels) {
      for (int bit = 0; bit < count; bit++) {
        if (channel[first + bit] != 0) {
          word |= 1L << bit;
        }
      }
    }
    return word;
  }

  /** The smallest box with every voxel that is not zero; the whole of an image of zeros. */
  public static Box nonzeroBox(MultiChannelImage image, Workers workers) {
    return nonzero(image, workers).boundingBox();
  }

  /** The part of an image in a box, as new arrays. */
  public static MultiChannelImage crop(MultiChannelImage image, Box box, Workers workers) {
    List<float[]> channels =
        image.channels().stream()
            .map(channel ->
                Transposition.copy(
                    MemorySegment.ofArray(channel),
                    image.extents(),
                    box,
                    AxisOrder.IDENTITY,
                    workers))
            .toList();
    return new MultiChannelImage(channels, box.extents(), image.spacing());
  }

  /**
   * Labels of a box in a volume of background.
   *
   * @param labels (D, H, W) of the box
   * @param box where they belong
   * @param original size of the volume
   * @return (D, H, W) of the volume, 0 outside of the box
   */
  public static byte[] uncrop(byte[] labels, Box box, Extents original) {
    Extents extents = box.extents();
    if (labels.length != extents.voxels() || !box.fits(original)) {
      throw new IllegalArgumentException(
          "%d labels for %s, expected as many as its voxels and the box inside of %s"
              .formatted(labels.length, box, original));
    }
    byte[] whole = new byte[Math.toIntExact(original.voxels())];
    Extents origin = box.origin();
    for (int depth = 0; depth < extents.depth(); depth++) {
      for (int row = 0; row < extents.height(); row++) {
        int from = (depth * extents.height() + row) * extents.width();
        int to =
            ((origin.depth() + depth) * original.height() + origin.height() + row)
                    * original.width()
                + origin.width();
        System.arraycopy(labels, from, whole, to, extents.width());
      }
    }
    return whole;
  }
}
