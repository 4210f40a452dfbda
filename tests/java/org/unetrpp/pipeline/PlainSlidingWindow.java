package org.unetrpp.pipeline;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.unetrpp.grid.Extents;

/** The sliding window with a padded image and one voxel after the other, in float. */
final class PlainSlidingWindow {
  private PlainSlidingWindow() {}

  static float[][] run(
      List<float[]> channels, Extents image, PatchPredictor network, Mirroring mirroring) {
    Extents patch = network.patch();
    int[] below = new int[3];
    int[] padded = new int[3];
    int[][] starts = new int[3][];
    for (int axis = 0; axis < 3; axis++) {
      padded[axis] = Math.max(patch.along(axis), image.along(axis));
      below[axis] = (padded[axis] - image.along(axis)) / 2;
      starts[axis] = SlidingWindow.starts(padded[axis], patch.along(axis), 0.5);
    }
    Extents size = Extents.of(padded);
    float[][] paddedChannels = new float[channels.size()][(int) size.voxels()];
    for (int c = 0; c < channels.size(); c++) {
      for (int z = 0; z < image.depth(); z++) {
        for (int y = 0; y < image.height(); y++) {
          for (int x = 0; x < image.width(); x++) {
            paddedChannels[c][at(size, z + below[0], y + below[1], x + below[2])] =
                channels.get(c)[at(image, z, y, x)];
          }
        }
      }
    }
    boolean single = starts[0].length * starts[1].length * starts[2].length == 1;
    float[] importance = ImportanceMap.of(patch);
    float[][] sums = new float[network.classes()][(int) size.voxels()];
    float[] weights = new float[(int) size.voxels()];
    for (int depth : starts[0]) {
      for (int height : starts[1]) {
        for (int width : starts[2]) {
          float[] window =
              window(paddedChannels, size, new Extents(depth, height, width), network, mirroring);
          for (int z = 0; z < patch.depth(); z++) {
            for (int y = 0; y < patch.height(); y++) {
              for (int x = 0; x < patch.width(); x++) {
                int within = at(patch, z, y, x);
                int voxel = at(size, depth + z, height + y, width + x);
                float weight = single ? 1 : importance[within];
                weights[voxel] += weight;
                for (int k = 0; k < sums.length; k++) {
                  sums[k][voxel] += window[k * importance.length + within] * weight;
                }
              }
            }
          }
        }
      }
    }
    float[][] result = new float[sums.length][(int) image.voxels()];
    for (int k = 0; k < sums.length; k++) {
      for (int z = 0; z < image.depth(); z++) {
        for (int y = 0; y < image.height(); y++) {
          for (int x = 0; x < image.width(); x++) {
            int voxel = at(size, z + below[0], y + below[1], x + below[2]);
            result[k][at(image, z, y, x)] = sums[k][voxel] / weights[voxel];
          }
        }
      }
    }
    return result;
  }

  private static float[] window(
      float[][] channels,
      Extents size,
      Extents origin,
      PatchPredictor network,
      Mirroring mirroring) {
    Extents patch = network.patch();
    int voxels = (int) patch.voxels();
    List<Mirroring> combinations = mirroring.combinations();
    float[] average = new float[network.classes() * voxels];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment input = arena.allocate(4L * channels.length * voxels, 64);
      for (Mirroring mirror : combinations) {
        for (int voxel = 0; voxel < voxels; voxel++) {
          Extents from = mirrored(mirror, voxel, patch);
          for (int c = 0; c < channels.length; c++) {
            input.setAtIndex(
                JAVA_FLOAT,
                (long) c * voxels + voxel,
                channels[c][
                    at(
                        size,
                        origin.depth() + from.depth(),
                        origin.height() + from.height(),
                        origin.width() + from.width())]);
          }
        }
        network.predict(
            input,
            output -> {
              for (int k = 0; k < network.classes(); k++) {
                for (int voxel = 0; voxel < voxels; voxel++) {
                  Extents from = mirrored(mirror, voxel, patch);
                  int source = at(patch, from.depth(), from.height(), from.width());
                  average[k * voxels + voxel] +=
                      1f
                          / combinations.size()
                          * output.getAtIndex(JAVA_FLOAT, (long) k * voxels + source);
                }
              }
            });
      }
    }
    return average;
  }

  private static Extents mirrored(Mirroring mirror, int voxel, Extents patch) {
    int x = voxel % patch.width();
    int y = voxel / patch.width() % patch.height();
    int z = voxel / patch.width() / patch.height();
    return new Extents(
        mirror.depth() ? patch.depth() - 1 - z : z,
        mirror.height() ? patch.height() - 1 - y : y,
        mirror.width() ? patch.width() - 1 - x : x);
  }

  private static int at(Extents extents, int z, int y, int x) {
    return (z * extents.height() + y) * extents.width() + x;
  }
}
