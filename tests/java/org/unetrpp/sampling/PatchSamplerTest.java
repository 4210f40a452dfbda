package org.unetrpp.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.augmentation.AugmentationSettings;
import org.unetrpp.augmentation.Augmenter;
import org.unetrpp.augmentation.Draws;
import org.unetrpp.augmentation.Patch;
import org.unetrpp.dataset.PreparedCase;
import org.unetrpp.grid.Extents;

class PatchSamplerTest {
  private static final Arena ARENA = Arena.ofShared();
  private static final Extents SIZE = new Extents(6, 9, 11);
  private static final Extents NETWORK = new Extents(4, 5, 6);
  private static final int SAMPLES = 400;

  @AfterAll
  static void close() {
    ARENA.close();
  }

  private static Augmenter still(int channels) {
    return new Augmenter(
        new AugmentationSettings(false, 0, 30, 1e-12, 0.7, 1.4, true), new boolean[channels]);
  }

  @ParameterizedTest
  @CsvSource({
    // size, cut, patch, lowest, highest
    "10, 8, 8, 0, 2",
    "10, 12, 8, -2, 0",
    "10, 13, 8, -3, 0", // an odd need runs one voxel further before the case than after
    "3, 12, 8, -5, -4", // shorter than the patch
    "8, 13, 10, -3, -2", // shorter than the patch, by less than the cut is larger
    "5, 5, 5, 0, 0"
  })
  void cornersFillTheirRange(int size, int cut, int patch, int lowest, int highest) {
    CutPosition positions =
        new CutPosition(new Extents(size, 9, 9), new Extents(cut, 7, 7), new Extents(patch, 7, 7));
    Draws draws = new Draws(new SplittableRandom(1));
    int[] corners =
        IntStream.range(0, SAMPLES)
            .map(sample -> positions.anywhere(draws)[0])
            .sorted()
            .distinct()
            .toArray();
    assertThat(corners).containsExactly(IntStream.rangeClosed(lowest, highest).toArray());
  }

  @ParameterizedTest
  @CsvSource({
    "0, -1", // not before the lowest corner
    "3, -1",
    "4, 0",
    "8, 4",
    "9, 5" // runs past the upper border, beyond the highest corner 2
  })
  void forcedCornersCenterTheVoxel(int voxel, int expected) {
    Extents size = new Extents(10, 1, 1);
    PreparedCase source = Cases.of(ARENA, "one", size, 2, voxel);
    CutPosition positions = new CutPosition(size, new Extents(9, 1, 1), new Extents(7, 1, 1));
    int[] corner = positions.aroundForeground(source, new Draws(new SplittableRandom(1)));
    assertThat(corner).containsExactly(expected, 0, 0);
  }

  @Test
  void classesOfACaseAreDrawnEquallyOften() {
    Extents size = new Extents(1, 1, 200);
    short[] labels = new short[200];
    Arrays.fill(labels, 0, 150, (short) 1);
    labels[199] = 3;
    PreparedCase source = Cases.of(ARENA, "uneven", size, labels);
    CutPosition positions = new CutPosition(size, Extents.cube(1), Extents.cube(1));
    Draws draws = new Draws(new SplittableRandom(1));
    int rare = 0;
    for (int sample = 0; sample < SAMPLES; sample++) {
      rare += positions.aroundForeground(source, draws)[2] == 199 ? 1 : 0;
    }
    // Five standard deviations of 400 draws of a half.
    assertThat((double) rare).isCloseTo(SAMPLES / 2.0, Offset.offset(50.0));
  }

  @Test
  void caseWithoutForegroundIsCutAnywhere() {
    PreparedCase source = Cases.of(ARENA, "empty", SIZE, 0);
    CutPosition positions = new CutPosition(SIZE, NETWORK, NETWORK);
    assertThat(positions.aroundForeground(source, new Draws(new SplittableRandom(3))))
        .containsExactly(positions.anywhere(new Draws(new SplittableRandom(3))));
  }

  @ParameterizedTest
  @CsvSource({"-2, -1, -3", "0, 0, 0", "1, 2, 3", "4, 6, 8", "-9, 0, 0", "0, 20, 0", "0, 0, 12"})
  void cutsArePaddedOutsideOfTheCase(int depth, int height, int width) {
    short[] labels = new short[Math.toIntExact(SIZE.voxels())];
    Arrays.fill(labels, (short) 2);
    PreparedCase source = Cases.of(ARENA, "full", SIZE, labels);
    Patch cut = CaseCut.of(source, new int[] {depth, height, width}, NETWORK);
    int index = 0;
    for (int d = depth; d < depth + NETWORK.depth(); d++) {
      for (int h = height; h < height + NETWORK.height(); h++) {
        for (int w = width; w < width + NETWORK.width(); w++) {
          boolean inside =
              d >= 0
                  && d < SIZE.depth()
                  && h >= 0
                  && h < SIZE.height()
                  && w >= 0
                  && w < SIZE.width();
          int voxel = (d * SIZE.height() + h) * SIZE.width() + w;
          assertThat(cut.image()[index]).isEqualTo(inside ? voxel + 1f : 0f);
          assertThat(cut.image()[120 + index]).isEqualTo(inside ? -voxel - 1f : 0f);
          assertThat(cut.labels()[index]).isEqualTo((short) (inside ? 2 : -1));
          index++;
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "2, 0.33, 1",
    "4, 0.33, 3",
    "5, 0.5, 2",
    "7, 0.5, 4",
    "2, 0, 2",
    "2, 1, 0",
    "1, 0.33, 1"
  })
  void lastSamplesOfABatchAreForced(int batchSize, double share, int firstForced) {
    LoaderSettings settings = new LoaderSettings(batchSize, NETWORK, share, null);
    for (int position = 0; position < batchSize; position++) {
      assertThat(settings.forcesForeground(position)).isEqualTo(position >= firstForced);
    }
  }

  private static boolean showsForeground(Patch patch) {
    for (short label : patch.labels()) {
      if (label > 0) {
        return true;
      }
    }
    return false;
  }

  @ParameterizedTest
  @CsvSource({"true", "false"})
  void forcedSamplesShowForeground(boolean training) {
    Extents size = new Extents(9, 20, 21);
    List<PreparedCase> cases =
        List.of(
            Cases.of(ARENA, "first voxel", size, 1, 0),
            Cases.of(ARENA, "last voxel", size, 2, 9 * 20 * 21 - 1),
            Cases.of(ARENA, "small", new Extents(2, 3, 4), 3, 13));
    LoaderSettings settings = new LoaderSettings(2, NETWORK, 0.5, training ? still(2) : null);
    PatchSampler sampler = new PatchSampler(cases, settings, 11);
    int unforced = 0;
    for (long batch = 0; batch < 200; batch++) {
      unforced += showsForeground(sampler.sample(batch, 0)) ? 1 : 0;
      assertThat(showsForeground(sampler.sample(batch, 1))).isTrue();
    }
    assertThat(unforced).isLessThan(140);
  }

  @Test
  void validationSamplesAreCutsWithLabelsFromZero() {
    short[] labels = new short[Math.toIntExact(SIZE.voxels())];
    Arrays.fill(labels, (short) -1);
    labels[300] = 1;
    PatchSampler sampler =
        new PatchSampler(
            List.of(Cases.of(ARENA, "masked", SIZE, labels)),
            new LoaderSettings(1, NETWORK, 0, null),
            1);
    for (long batch = 0; batch < 50; batch++) {
      Patch patch = sampler.sample(batch, 0);
      assertThat(patch.extents()).isEqualTo(NETWORK);
      for (int voxel = 0; voxel < 120; voxel++) {
        float intensity = patch.image()[voxel];
        assertThat(intensity).isPositive(); // the case is larger: nothing is padded
        assertThat(patch.labels()[voxel]).isEqualTo((short) (intensity == 301 ? 1 : 0));
      }
    }
  }

  @Test
  void casesAreDrawnEquallyOften() {
    List<PreparedCase> cases =
        List.of(
            Cases.of(ARENA, "small", new Extents(1, 1, 2), 0),
            Cases.of(ARENA, "larger", SIZE, 0),
            Cases.of(ARENA, "other", SIZE, 0));
    PatchSampler sampler = new PatchSampler(cases, new LoaderSettings(2, NETWORK, 0, null), 5);
    int small = 0;
    for (long batch = 0; batch < 450; batch++) {
      for (int position = 0; position < 2; position++) {
        float[] image = sampler.sample(batch, position).image();
        boolean padded = false;
        for (int voxel = 0; voxel < 120; voxel++) {
          padded |= image[voxel] == 0;
        }
        small += padded ? 1 : 0;
      }
    }
    // Five standard deviations of 900 draws of a third.
    assertThat((double) small).isCloseTo(300, Offset.offset(5 * Math.sqrt(200)));
  }

  @Test
  void inconsistentCasesAreRefused() {
    PreparedCase fine = Cases.of(ARENA, "fine", SIZE, 0);
    PreparedCase other =
        new PreparedCase("other", 1, SIZE, fine.image(), fine.labels(), fine.locations());
    PreparedCase cut =
        new PreparedCase(
            "cut", 2, SIZE, fine.image().asSlice(0, 400), fine.labels(), fine.locations());
    LoaderSettings settings = new LoaderSettings(2, NETWORK, 0.33, null);
    assertThatThrownBy(() -> new PatchSampler(List.of(fine, other), settings, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("case other has 1 channels, expected 2");
    assertThatThrownBy(() -> new PatchSampler(List.of(cut), settings, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("case cut has image of 400 bytes, expected 4752 for 2 channels of 6x9x11");
    assertThatThrownBy(() -> new PatchSampler(List.of(), settings, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("no cases, expected at least one");
    assertThatThrownBy(() -> new LoaderSettings(0, NETWORK, 0.33, null))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("batchSize is 0, expected at least 1");
    assertThatThrownBy(() -> new LoaderSettings(1, NETWORK, 1.5, null))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("foregroundShare is 1.5, expected a number from 0 to 1");
  }
}
