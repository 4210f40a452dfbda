package org.unetrpp.figure;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.drawing.Colors;
import org.unetrpp.drawing.Picture;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Spacing;
import org.unetrpp.image.Volume;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.preview.IntensityWindow;
import org.unetrpp.preview.ViewDirection;

/** A grid of 40 x 30 x 8 voxels of 2 x 4 x 5 mm: axial slices of 80 x 120 mm. */
class CaseFigureTest {
  private static final int GREEN = 0x00c000;
  private static final int VIOLET = 0x8040ff;
  private static final int FALSE_POSITIVE = 0xd55e00;
  private static final int FALSE_NEGATIVE = 0x56b4e9;
  private static final int WRONG_CLASS = 0xf0e442;
  private static final List<LabelClass> CLASSES =
      List.of(
          new LabelClass(0, "background", "#000000"),
          new LabelClass(1, "liver", "#00c000"),
          new LabelClass(2, "spleen", "#8040ff"));
  private static final Geometry GRID =
      new Geometry(
          new Extents(8, 30, 40),
          Affine.ofRows(-2, 0, 0, 100, 0, -4, 0, 50, 0, 0, 5, -30)); // LPS: i left, j posterior
  private static final int PANEL = 240;

  /** Pixels of a millimeter: 120 mm are 240 pixels. */
  private static final int SCALE = 2;

  private static final int WIDTH = 80 * SCALE;
  private static final int FIRST_LEFT = CaseFigure.MARGIN;
  private static final int TOP = 2 * CaseFigure.MARGIN + 2 * CaseFigure.LINE;

  private final byte[] reference = new byte[8 * 30 * 40];
  private final byte[] prediction = new byte[8 * 30 * 40];

  private static void box(byte[] labels, int k, int j, int i, int size, int label) {
    for (int row = j; row < j + size; row++) {
      for (int column = i; column < i + size; column++) {
        labels[(k * 30 + row) * 40 + column] = (byte) label;
      }
    }
  }

  /**
   * Slice 3: liver right at (j, i) = (4, 4), false positive at 24 left, missed at 16, and mixed.
   */
  private ComparedCase errors() {
    box(reference, 3, 4, 4, 6, 1);
    box(prediction, 3, 4, 4, 6, 1);
    box(prediction, 3, 4, 24, 6, 1);
    box(reference, 3, 16, 4, 6, 2);
    box(reference, 3, 16, 24, 6, 2);
    box(prediction, 3, 16, 24, 6, 1);
    return compared(image());
  }

  private static Volume image() {
    float[] voxels = new float[8 * 30 * 40];
    for (int i = 0; i < voxels.length; i++) {
      voxels[i] = i % 40 * 5;
    }
    return new Volume(GRID, voxels);
  }

  private ComparedCase compared(@Nullable Volume image) {
    return new ComparedCase(
        "case",
        image,
        new LabelVolume(GRID, reference),
        new LabelVolume(GRID, prediction),
        CLASSES);
  }

  private static FigureSettings settings(int slices) {
    return new FigureSettings(
        ViewDirection.AXIAL,
        slices,
        PANEL,
        new IntensityWindow(0, 200),
        true,
        false,
        Palette.LIGHT);
  }

  /** The pixel in the middle of voxel (i, j) of the first row's panel of a number. */
  private static int pixel(Picture picture, int panel, int i, int j) {
    return picture.at(left(panel) + i * 2 * SCALE + 2, TOP + j * 4 * SCALE + 4);
  }

  private static int left(int panel) {
    return FIRST_LEFT + panel * (WIDTH + CaseFigure.GAP);
  }

  private static int gray(int i) {
    return new IntensityWindow(0, 200).gray(i * 5);
  }

  private static int tint(int i, int color) {
    return Colors.mix(Colors.gray(gray(i)), color, CaseFigure.OPACITY);
  }

  @Test
  void imageReferencePredictionAndErrorsStandSideBySide() {
    Picture picture = CaseFigure.draw(errors(), settings(1));
    assertThat(picture.width()).isEqualTo(4 * WIDTH + 3 * CaseFigure.GAP + 2 * CaseFigure.MARGIN);
    assertIsNear(pixel(picture, 0, 6, 6), Colors.gray(gray(6)));
    assertIsNear(pixel(picture, 1, 6, 6), tint(6, GREEN));
    assertIsNear(pixel(picture, 2, 6, 6), tint(6, GREEN));
    assertIsNear(pixel(picture, 1, 6, 18), tint(6, VIOLET));
    assertIsNear(pixel(picture, 2, 6, 18), Colors.gray(gray(6)));
    assertIsNear(pixel(picture, 1, 26, 6), Colors.gray(gray(26)));
    assertIsNear(pixel(picture, 2, 26, 6), tint(26, GREEN));
  }

  /** Intensities are interpolated to the middle of pixels. */
  private static void assertIsNear(int color, int expected) {
    for (int shift = 0; shift <= 16; shift += 8) {
      assertThat(Math.abs((color >> shift & 0xff) - (expected >> shift & 0xff)))
          .as("%06x beside %06x", color, expected)
          .isLessThanOrEqualTo(4);
    }
  }

  @Test
  void errorsAreHatchedInTheirColorsAndAgreementIsInTheClassesColor() {
    Picture picture = CaseFigure.draw(errors(), settings(1));
    assertIsNear(pixel(picture, 3, 6, 6), tint(6, GREEN));
    assertThat(share(picture, 24, 4, FALSE_POSITIVE)).isBetween(0.3, 0.6);
    assertThat(share(picture, 4, 16, FALSE_NEGATIVE)).isBetween(0.3, 0.6);
    assertThat(share(picture, 24, 16, WRONG_CLASS)).isBetween(0.5, 0.8);
    assertThat(share(picture, 4, 4, FALSE_POSITIVE)).isZero();
    // The outline of an error has its full color.
    int left = left(3) + 24 * 2 * SCALE;
    int top = TOP + 4 * 4 * SCALE;
    for (int x = 0; x < 6 * 2 * SCALE; x++) {
      assertThat(picture.at(left + x, top)).isEqualTo(FALSE_POSITIVE);
    }
    // Lines of false positives rise to the right, those of false negatives fall.
    assertThat(isLine(picture, 24, 4, FALSE_POSITIVE, -1)).isTrue();
    assertThat(isLine(picture, 24, 4, FALSE_POSITIVE, 1)).isFalse();
    assertThat(isLine(picture, 4, 16, FALSE_NEGATIVE, 1)).isTrue();
  }

  /** The share of the pixels of a box of 6 x 6 voxels of the error panel that have a color. */
  private static double share(Picture picture, int i, int j, int color) {
    int count = 0;
    for (int y = 0; y < 24 * SCALE; y++) {
      for (int x = 0; x < 12 * SCALE; x++) {
        count += picture.at(left(3) + i * 2 * SCALE + x, TOP + j * 4 * SCALE + y) == color ? 1 : 0;
      }
    }
    return (double) count / (24 * SCALE * 12 * SCALE);
  }

  /** Whether some diagonal through a box has a color throughout; down per pixel to the right. */
  private static boolean isLine(Picture picture, int i, int j, int color, int down) {
    for (int start = 16; start < 32; start++) {
      boolean all = true;
      for (int x = 1; x < 12; x++) {
        all &=
            picture.at(left(3) + i * 2 * SCALE + x, TOP + j * 4 * SCALE + start + down * x)
                == color;
      }
      if (all) {
        return true;
      }
    }
    return false;
  }

  /** 40 voxels of 2 mm are 160 pixels, 30 of 4 mm are 240. */
  @Test
  void voxelsAreToScale() {
    box(reference, 3, 10, 10, 10, 1);
    box(prediction, 3, 10, 10, 10, 1);
    Picture picture = CaseFigure.draw(compared(null), settings(1));
    int left = CaseFigure.MARGIN + (640 - 3 * WIDTH - 2 * CaseFigure.GAP) / 2;
    int columns = 0;
    int rows = 0;
    for (int x = 0; x < WIDTH; x++) {
      columns += picture.at(left + WIDTH + CaseFigure.GAP + x, TOP + 15 * 8) == 0 ? 0 : 1;
    }
    for (int y = 0; y < PANEL; y++) {
      rows += picture.at(left + WIDTH + CaseFigure.GAP + 15 * 4, TOP + y) == 0 ? 0 : 1;
    }
    assertThat(columns).isEqualTo(10 * 2 * SCALE);
    assertThat(rows).isEqualTo(10 * 4 * SCALE);
  }

  /** The patient's right, where i is smallest in this grid, is at the left. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void rightIsAtTheLeftHoweverTheGridRuns(boolean flipped) {
    Geometry grid =
        flipped
            ? new Geometry(GRID.extents(), Affine.ofRows(2, 0, 0, 22, 0, -4, 0, 50, 0, 0, 5, -30))
            : GRID;
    int side = flipped ? 30 : 4; // both toward the patient's right
    box(reference, 3, 10, side, 6, 1);
    ComparedCase compared =
        new ComparedCase(
            "case",
            new Volume(grid, new float[reference.length]),
            new LabelVolume(grid, reference),
            new LabelVolume(grid, prediction),
            CLASSES);
    Picture picture = CaseFigure.draw(compared, settings(1));
    assertThat(count(picture, left(1), TOP, WIDTH / 2, PANEL, GREEN)).isPositive();
    assertThat(count(picture, left(1) + WIDTH / 2, TOP, WIDTH / 2, PANEL, GREEN)).isZero();
    assertIsLetter(picture, "R", FIRST_LEFT + 4, TOP + (PANEL - 14) / 2);
    assertIsLetter(picture, "L", FIRST_LEFT + WIDTH - 4 - 10, TOP + (PANEL - 14) / 2);
    assertIsLetter(picture, "A", FIRST_LEFT + (WIDTH - 10) / 2, TOP + 4);
  }

  private static void assertIsLetter(Picture picture, String letter, int left, int top) {
    Picture expected = new Picture(10, 14, 0);
    expected.write(letter, 0, 0, 2, 1);
    for (int y = 0; y < 14; y++) {
      for (int x = 0; x < 10; x++) {
        assertThat(picture.at(left + x, top + y) == 0xffffff)
            .as("%s at %d, %d", letter, x, y)
            .isEqualTo(expected.at(x, y) == 1);
      }
    }
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

  @Test
  void legendHasColorsNamesAndDice() {
    Picture picture = CaseFigure.draw(errors(), settings(1));
    // Below the panels, the caption and the marks of errors.
    int top = TOP + PANEL + CaseFigure.GAP + CaseFigure.LINE + CaseFigure.GAP;
    assertThat(count(picture, CaseFigure.MARGIN, top, 28, 14, FALSE_POSITIVE)).isPositive();
    int classes = top + 2 * CaseFigure.LINE + CaseFigure.GAP;
    assertThat(count(picture, CaseFigure.MARGIN, classes, 14, 14, GREEN)).isEqualTo(14 * 14);
    int below = picture.height() - classes;
    assertThat(count(picture, 0, classes, picture.width(), below, VIOLET)).isEqualTo(14 * 14);
    // 36 of 36 + 108 voxels: 2 * 36 / 144.
    assertIsText(picture, "liver 0.500", CaseFigure.MARGIN + 14 + CaseFigure.GAP, classes);
  }

  private static void assertIsText(Picture picture, String text, int left, int top) {
    Picture expected = new Picture(12 * text.length(), 14, 0);
    expected.write(text, 0, 0, 2, 1);
    for (int y = 0; y < 14; y++) {
      for (int x = 0; x < expected.width(); x++) {
        assertThat(picture.at(left + x, top + y) != picture.at(0, 0))
            .as("%s at %d, %d", text, x, y)
            .isEqualTo(expected.at(x, y) == 1);
      }
    }
  }

  @Test
  void captionSaysWhereTheSliceLies() {
    FigureRow row =
        FigureRow.slice(
            errors(),
            settings(1),
            new ChosenSlice(3, "most errors"),
            Zoom.whole(GRID.extents(), ViewDirection.AXIAL.plane(GRID)));
    assertThat(row.caption()).isEqualTo("Axial 4/8, S -15.0 mm: most errors");
    assertThat(row.letters()).isEqualTo("RLAP");
    assertThat(row.pixelsPerMillimeter()).isEqualTo(SCALE);
  }

  @Test
  void worstSliceIsThatWhichCostsMostDice() {
    box(reference, 1, 0, 0, 20, 1); // of 400 voxels of the liver 20 are missed
    box(prediction, 1, 0, 0, 20, 1);
    for (int i = 0; i < 20; i++) {
      prediction[1 * 1200 + i] = 0;
    }
    box(reference, 5, 3, 3, 2, 2); // all 4 of the spleen are
    List<ChosenSlice> chosen = ChosenSlice.of(compared(null), ViewDirection.AXIAL.plane(GRID), 2);
    assertThat(chosen)
        .containsExactly(new ChosenSlice(5, "most errors"), new ChosenSlice(1, "most labels"));
  }

  @Test
  void slicesAreApartAndNoMoreThanThereAre() {
    for (int k = 0; k < 8; k++) {
      box(reference, k, 3, 3, 3 + k, 1);
    }
    List<Integer> chosen =
        ChosenSlice.of(compared(null), ViewDirection.AXIAL.plane(GRID), 2).stream()
            .map(ChosenSlice::index)
            .toList();
    assertThat(chosen).containsExactly(7, 5);
    assertThat(ChosenSlice.of(compared(null), ViewDirection.AXIAL.plane(GRID), 20)).hasSize(8);
  }

  @Test
  void volumesWithoutLabelsShowTheMiddle() {
    assertThat(ChosenSlice.of(compared(null), ViewDirection.AXIAL.plane(GRID), 3))
        .containsExactly(new ChosenSlice(4, "no labels"));
    assertThat(CaseFigure.draw(compared(image()), settings(3)).height()).isPositive();
  }

  @Test
  void smallStructuresAreEnlarged() {
    box(reference, 3, 10, 30, 3, 1);
    var plane = ViewDirection.AXIAL.plane(GRID);
    var box = Zoom.of(compared(null), plane);
    assertThat(box.columns()).isLessThan(30);
    assertThat(box.rows()).isLessThan(20);
    assertThat(box.firstColumn()).isLessThanOrEqualTo(30);
    assertThat(box.firstColumn() + box.columns()).isBetween(33, 40);
    assertThat(box.firstRow()).isLessThanOrEqualTo(10);
    assertThat(box.firstRow() + box.rows()).isGreaterThanOrEqualTo(13);
    // At least 0.8 times as wide as high, in millimeters, or as far as the plane goes.
    assertThat(box.columns() * 2.0).isGreaterThanOrEqualTo(0.8 * 4 * (box.rows() - 1));
  }

  @ParameterizedTest
  @EnumSource(ViewDirection.class)
  void projectionAddsARowInEveryDirection(ViewDirection direction) {
    FigureSettings with = new FigureSettings(direction, 1, 128, null, false, true, Palette.DARK);
    FigureSettings without =
        new FigureSettings(direction, 1, 128, null, false, false, Palette.DARK);
    ComparedCase compared = errors();
    assertThat(CaseFigure.draw(compared, with).height())
        .isGreaterThan(CaseFigure.draw(compared, without).height() + CaseFigure.LINE);
    assertThat(CaseFigure.draw(compared, with).at(0, 0)).isEqualTo(Palette.DARK.paper());
  }

  @ParameterizedTest
  @CsvSource({"1, 1, 1, 1", "1, 200, 100, 5", "300, 1, 1, 0.001", "2, 3, 4, 100000"})
  void volumesOfOddSizesAreDrawn(int depth, int height, int width, double spacing) {
    Geometry grid =
        new Geometry(
            new Extents(depth, height, width), Affine.ofSpacing(new Spacing(spacing, 1, 1)));
    int voxels = depth * height * width;
    byte[] labels = new byte[voxels];
    labels[voxels / 2] = 2;
    ComparedCase compared =
        new ComparedCase(
            "a name that is much longer than a figure of narrow panels has room for in a line",
            new Volume(grid, new float[voxels]),
            new LabelVolume(grid, labels),
            new LabelVolume(grid, new byte[voxels]),
            CLASSES);
    Picture picture = CaseFigure.draw(compared, FigureSettings.DEFAULT);
    assertThat(picture.width()).isBetween(640, 4 * 340 + 32);
  }

  @Test
  void nothingIsCutOffOfALongName() {
    reference[0] = 1;
    ComparedCase compared =
        new ComparedCase(
            "case",
            null,
            new LabelVolume(GRID, reference),
            new LabelVolume(GRID, prediction),
            List.of(
                new LabelClass(1, "n".repeat(200), "#00c000"),
                new LabelClass(2, "spleen", "#8040ff")));
    Picture picture = CaseFigure.draw(compared, settings(1));
    int right = picture.width() - CaseFigure.MARGIN;
    int ink = Palette.LIGHT.ink();
    assertThat(count(picture, right, 0, CaseFigure.MARGIN, picture.height(), ink)).isZero();
  }

  @Test
  void whatDoesNotBelongTogetherIsRefused() {
    LabelVolume labels = new LabelVolume(GRID, reference);
    Geometry other = new Geometry(new Extents(1, 1, 2), Affine.ofSpacing(new Spacing(1, 1, 1)));
    assertThatThrownBy(
            () -> new ComparedCase("c", null, labels, new LabelVolume(other, new byte[2]), CLASSES))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("expected the grid of the reference");
    assertThatThrownBy(
            () -> new ComparedCase("c", new Volume(other, new float[2]), labels, labels, CLASSES))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("the image lies on ");
    reference[7] = 9;
    assertThatThrownBy(() -> compared(null))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("label 9 has no name, expected one of 1=liver, 2=spleen or 0");
  }
}
