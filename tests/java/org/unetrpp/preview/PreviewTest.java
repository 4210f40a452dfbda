package org.unetrpp.preview;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.IntBinaryOperator;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.drawing.Picture;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Spacing;
import org.unetrpp.image.Volume;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.testing.StoredAxes;

class PreviewTest {
  private static final int RED = 0xff0000;
  private static final int GREEN = 0x00ff00;
  private static final List<LabelClass> CLASSES =
      List.of(
          new LabelClass(0, "background", "#000000"),
          new LabelClass(1, "near", "#ff0000"),
          new LabelClass(5, "far", "#00ff00"));

  /** Millimeters of the scene along right, anterior and superior, and voxels of it there. */
  private static final double[] SPACING = {1, 2, 1.5};

  private static final int[] VOXELS = {24, 16, 12};

  @TempDir Path folder;

  /** An image and its labels. */
  private record Scene(Volume image, LabelVolume labels) {
    Picture draw() {
      return Preview.draw(image, labels, CLASSES);
    }
  }

  /** Takes voxel (r, a, s), counted toward right, anterior and superior: its gray and label. */
  private interface Content {
    float gray(int r, int a, int s);

    int label(int r, int a, int s);
  }

  /** One content, stored with voxel axes of any direction. */
  private static Scene scene(String codes, Content content) {
    StoredAxes axes = new StoredAxes(codes, VOXELS, SPACING, new double[3]);
    Geometry geometry = axes.geometry();
    float[] grays = new float[(int) geometry.extents().voxels()];
    byte[] labels = new byte[grays.length];
    axes.forEach((voxel, r, a, s) -> {
      grays[voxel] = content.gray(r, a, s);
      labels[voxel] = (byte) content.label(r, a, s);
    });
    return new Scene(new Volume(geometry, grays), new LabelVolume(geometry, labels));
  }

  /** A box at the right, anterior and superior end, and a smaller one at the opposite corner. */
  private static final Content CORNERS =
      new Content() {
        @Override
        public float gray(int r, int a, int s) {
          return 3 * r + 5 * a + 7 * s + (r * a * s) % 11;
        }

        @Override
        public int label(int r, int a, int s) {
          boolean near = r >= 15 && a >= 9 && s >= 5 && r < 24 && a < 16 && s < 12;
          return near ? 1 : r < 3 && a < 3 && s >= 5 && s < 8 ? 5 : 0;
        }
      };

  private static final int[] EXPECTED = pixels(scene("RAS", CORNERS).draw());

  @ParameterizedTest
  @MethodSource("org.unetrpp.testing.StoredAxes#codes")
  void pictureDoesNotDependOnHowTheFileOrdersItsAxes(String codes) {
    Scene scene = scene(codes, CORNERS);
    assertThat(scene.image().affine().axisCodes()).isEqualTo(codes);
    assertThat(pixels(scene.draw())).isEqualTo(EXPECTED);
  }

  /** 24 x 32 x 18 mm: 32 mm are 384 pixels, so 12 pixels are 1 mm. */
  @Test
  void slicesAreToScaleSideBySide() {
    Scene scene = scene("RAS", CORNERS);
    Geometry geometry = scene.image().geometry();
    assertThat(geometry.spacing()).isEqualTo(new Spacing(1.5, 2, 1));
    Picture picture = scene.draw();
    assertThat(picture.width()).isEqualTo(288 + 288 + 384 + 6 * 24);
    assertThat(picture.height()).isGreaterThanOrEqualTo(384 + 2 * 24);
    int background = picture.at(0, 0);
    // Axial 288 x 384, coronal 288 x 216, sagittal 384 x 216, each in the middle of its cell.
    int[][] corners = {{24, 24, 288, 384}, {360, 108, 288, 216}, {696, 108, 384, 216}};
    for (int[] corner : corners) {
      int right = corner[0] + corner[2] - 1;
      int bottom = corner[1] + corner[3] - 1;
      assertThat(picture.at(corner[0], corner[1])).isNotEqualTo(background);
      assertThat(picture.at(right, bottom)).isNotEqualTo(background);
      assertThat(picture.at(corner[0] - 1, corner[1])).isEqualTo(background);
      assertThat(picture.at(right + 1, bottom)).isEqualTo(background);
      assertThat(picture.at(corner[0], corner[1] - 1)).isEqualTo(background);
      assertThat(picture.at(right, bottom + 1)).isEqualTo(background);
    }
  }

  /** The patient's right and anterior are at the left and top of the axial slice. */
  @Test
  void labelsAreOutlinedAndTintedWhereTheyAre() {
    Picture picture = scene("LPS", CORNERS).draw();
    // 9 mm from the right end, 14 mm from the anterior one, at 12 pixels a millimeter.
    assertThat(count(picture, 24, 24, 288, 384, RED)).isEqualTo(9 * 12 + 14 * 12 - 1);
    assertThat(picture.at(24 + 9 * 12 - 1, 24)).isEqualTo(RED);
    assertThat(picture.at(24, 24 + 14 * 12 - 1)).isEqualTo(RED);
    assertIsTint(picture.at(24 + 50, 24 + 50), RED);
    assertIsGray(picture.at(24 + 9 * 12, 24 + 14 * 12));
    // 3 mm from the left end and 6 mm from the posterior one.
    assertThat(picture.at(24 + 288 - 36, 24 + 384 - 1)).isEqualTo(GREEN);
    assertIsTint(picture.at(24 + 288 - 1, 24 + 384 - 1), GREEN);
    assertIsGray(picture.at(24 + 288 - 37, 24 + 384 - 1));
    // Superior is at the top of the coronal and the sagittal slice, anterior at the left.
    assertIsTint(picture.at(360, 108), RED);
    assertIsTint(picture.at(696, 108), RED);
    assertIsGray(picture.at(360, 108 + 215));
    assertIsGray(picture.at(696, 108 + 215));
    assertIsGray(picture.at(696 + 383, 108));
  }

  private static void assertIsGray(int color) {
    assertThat(color >> 16).isEqualTo(color & 0xff).isEqualTo(color >> 8 & 0xff);
  }

  /** A mixture of gray and the color: it leads by the opacity, within rounding. */
  private static void assertIsTint(int color, int label) {
    int own = label == RED ? color >> 16 : color >> 8 & 0xff;
    int other = color & 0xff;
    assertThat((double) own - other).isCloseTo(255 * SliceView.OPACITY, within(1.0));
  }

  @Test
  void slicesAreWhereMostForegroundIs() {
    Content content =
        new Content() {
          @Override
          public float gray(int r, int a, int s) {
            return s == 4 ? 100 : 0;
          }

          @Override
          public int label(int r, int a, int s) {
            boolean many = s == 4 && r > 3 && r < 9 && a == 8;
            return many || (s == 9 && r == 6 && a == 8) ? 1 : 0;
          }
        };
    Picture picture = scene("RAS", content).draw();
    assertThat(picture.at(24, 24)).isEqualTo(0xffffff); // slice 4 of the axial ones
  }

  @Test
  void withoutForegroundTheMiddleIsShown() {
    Content content =
        new Content() {
          @Override
          public float gray(int r, int a, int s) {
            return s == 6 ? 100 : 0;
          }

          @Override
          public int label(int r, int a, int s) {
            return 0;
          }
        };
    assertThat(scene("RAS", content).draw().at(24, 24)).isEqualTo(0xffffff);
  }

  @ParameterizedTest
  @CsvSource({"RAS", "LPS", "PIR"})
  void edgesCarryTheirLetters(String codes) {
    Picture picture = scene(codes, CORNERS).draw();
    // Letters of 10 x 14 pixels in margins of 24.
    assertIsLetter(picture, "R", 24 - 5 - 10, 24 + 192 - 7);
    assertIsLetter(picture, "L", 24 + 288 + 5, 24 + 192 - 7);
    assertIsLetter(picture, "A", 24 + 144 - 5, 24 - 5 - 14);
    assertIsLetter(picture, "P", 24 + 144 - 5, 24 + 384 + 5);
    assertIsLetter(picture, "R", 360 - 5 - 10, 108 + 108 - 7);
    assertIsLetter(picture, "S", 360 + 144 - 5, 108 - 5 - 14);
    assertIsLetter(picture, "I", 360 + 144 - 5, 108 + 216 + 5);
    assertIsLetter(picture, "A", 696 - 5 - 10, 108 + 108 - 7);
    assertIsLetter(picture, "P", 696 + 384 + 5, 108 + 108 - 7);
  }

  private static void assertIsLetter(Picture picture, String letter, int left, int top) {
    int background = picture.at(0, 0);
    Picture expected = new Picture(10, 14, 0);
    expected.write(letter, 0, 0, 2, 1);
    for (int y = 0; y < 14; y++) {
      for (int x = 0; x < 10; x++) {
        assertThat(picture.at(left + x, top + y) != background)
            .as("%s at %d, %d", letter, x, y)
            .isEqualTo(expected.at(x, y) == 1);
      }
    }
  }

  @Test
  void obliqueImageIsShownAlongItsClosestAxes() {
    double c = Math.cos(0.4);
    double s = Math.sin(0.4);
    Affine affine = Affine.ofRows(-c, s, 0, 0, -s, -c, 0, 0, 0, 0, 1, 0); // LPS, turned by 23°
    Geometry geometry = new Geometry(new Extents(4, 4, 4), affine);
    assertThat(Plane.axial(geometry)).isEqualTo(new Plane(2, false, 1, false, 0, false, "RLAP"));
  }

  @Test
  void imageWithoutDirectionsHasNoLetters() {
    Geometry flat =
        new Geometry(
            new Extents(4, 5, 6),
            new Spacing(1, 1, 1),
            Affine.ofRows(1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0));
    assertThat(Plane.axial(flat).letters()).isBlank();
    Picture picture =
        Preview.draw(
            new Volume(flat, new float[120]), new LabelVolume(flat, new byte[120]), CLASSES);
    assertThat(picture.width()).isPositive();
  }

  @ParameterizedTest
  @CsvSource({"1, 1, 1, 1", "1, 512, 300, 5", "300, 1, 1, 0.001", "2, 3, 4, 100000"})
  void imagesOfOddSizesAreDrawn(int depth, int height, int width, double spacing) {
    Geometry geometry =
        new Geometry(
            new Extents(depth, height, width), Affine.ofSpacing(new Spacing(spacing, 1, 1)));
    int voxels = depth * height * width;
    byte[] labels = new byte[voxels];
    labels[voxels / 2] = 5;
    labels[0] = 77; // of no class
    Picture picture =
        Preview.draw(
            new Volume(geometry, new float[voxels]), new LabelVolume(geometry, labels), CLASSES);
    assertThat(picture.width()).isBetween(3 * 144, 3 * (384 + 48));
    assertThat(picture.height()).isBetween(48, 384 + 200);
  }

  @Test
  void legendHasASwatchForEachLabel() {
    Picture picture = scene("RAS", CORNERS).draw();
    int below = 384 + 48;
    int height = picture.height() - below;
    assertThat(count(picture, 0, below, picture.width(), height, RED)).isEqualTo(14 * 14);
    assertThat(count(picture, 0, below, picture.width(), height, GREEN)).isEqualTo(14 * 14);
    // 9 x 7 x 7 voxels of 3 cubic millimeters.
    assertIsText(picture, "near 1.32 ml", 24 + 14 + 10, below);
  }

  private static void assertIsText(Picture picture, String text, int left, int top) {
    for (int i = 0; i < text.length(); i++) {
      assertIsLetter(picture, text.substring(i, i + 1), left + 12 * i, top);
    }
  }

  @Test
  void fileIsThePictureForOtherProgramsToo() throws IOException {
    Path target = folder.resolve("p.png");
    Scene scene = scene("RAS", CORNERS);
    Preview.write(target, scene.image(), scene.labels(), CLASSES);
    BufferedImage read = ImageIO.read(target.toFile());
    Picture picture = scene.draw();
    assertThat(read.getWidth()).isEqualTo(picture.width());
    assertThat(read.getHeight()).isEqualTo(picture.height());
    assertThat(pixels(picture, (x, y) -> read.getRGB(x, y) & 0xffffff)).isEqualTo(pixels(picture));
    assertThat(Files.size(target)).isLessThan(200_000);
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).containsExactly(target);
    }
  }

  @Test
  void labelsOfAnotherGridAreRefused() {
    Scene scene = scene("RAS", CORNERS);
    Scene other = scene("SAR", CORNERS);
    assertThatThrownBy(() -> Preview.draw(scene.image(), other.labels(), CLASSES))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("labels of 24x16x12, expected 12x16x24 as the image");
  }

  private static int[] pixels(Picture picture) {
    return pixels(picture, picture::at);
  }

  private static int[] pixels(Picture picture, IntBinaryOperator at) {
    int[] pixels = new int[picture.width() * picture.height()];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = at.applyAsInt(i % picture.width(), i / picture.width());
    }
    return pixels;
  }

  private static int count(Picture picture, int left, int top, int width, int height, int color) {
    int count = 0;
    for (int y = top; y < top + height; y++) {
      for (int x = left; x < left + width; x++) {
        count += picture.at(x, y) == color ? 1 : 0;
      }
    }
    return count;
  }
}
