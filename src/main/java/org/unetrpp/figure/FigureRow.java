package org.unetrpp.figure;

import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.Spacing;
import org.unetrpp.image.Volume;
import org.unetrpp.preview.IntensityWindow;
import org.unetrpp.preview.PixelLabels;
import org.unetrpp.preview.Plane;
import org.unetrpp.preview.PlaneBox;
import org.unetrpp.preview.PlaneGrays;
import org.unetrpp.preview.PlaneLabels;
import org.unetrpp.preview.ViewDirection;

/**
 * One view of a case, scaled to pixels of the same size along both axes.
 *
 * @param caption where and why
 * @param letters of the left, right, top and bottom edge
 * @param pixelsPerMillimeter of the panels
 * @param grays colors of the image (height, width); null without one
 * @param reference labels that are right
 * @param prediction labels that are compared with them
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record FigureRow(
    String caption,
    String letters,
    double pixelsPerMillimeter,
    int @Nullable [] grays,
    PixelLabels reference,
    PixelLabels prediction) {
  private static final String POSITIVE = "RAS";
  private static final String NEGATIVE = "LPI";

  /** Pixels of a panel. */
  int width() {
    return reference.width();
  }

  /** Rows of pixels of a panel. */
  int height() {
    return reference.height();
  }

  /** A slice of a case. */
  static FigureRow slice(
      ComparedCase compared, FigureSettings settings, ChosenSlice slice, PlaneBox box) {
    Geometry geometry = compared.reference().geometry();
    Plane plane = settings.direction().plane(geometry);
    Frame frame = Frame.of(geometry.spacing(), plane, box, settings.panelPixels());
    Volume image = compared.image();
    int[] grays = null;
    if (image != null) {
      IntensityWindow window =
          settings.window() == null ? IntensityWindow.of(image) : settings.window();
      grays = frame.scale(PlaneGrays.slice(image, plane, slice.index()), window);
    }
    return new FigureRow(
        "%s %d/%d%s: %s"
            .formatted(
                settings.direction().title(),
                slice.index() + 1,
                geometry.extents().along(plane.through()),
                place(geometry, plane, slice.index()),
                slice.reason()),
        plane.letters(),
        frame.pixelsPerMillimeter,
        grays,
        frame.scale(PlaneLabels.slice(compared.reference(), plane, slice.index())),
        frame.scale(PlaneLabels.slice(compared.prediction(), plane, slice.index())));
  }

  /** Maximum intensities of a case, and the labels that lie closest to the viewer. */
  static FigureRow projection(
      ComparedCase compared, FigureSettings settings, ViewDirection direction) {
    Geometry geometry = compared.reference().geometry();
    Plane plane = direction.plane(geometry);
    PlaneBox box = Zoom.whole(geometry.extents(), plane);
    Frame frame = Frame.of(geometry.spacing(), plane, box, settings.panelPixels());
    Volume image = compared.image();
    int[] grays = null;
    if (image != null) {
      PlaneGrays largest = PlaneGrays.largest(image, plane);
      grays = frame.scale(largest, largest.window());
    }
    return new FigureRow(
        direction.title() + " projection: maximum intensity, nearest label",
        plane.letters(),
        frame.pixelsPerMillimeter,
        grays,
        frame.scale(PlaneLabels.nearest(compared.reference(), plane)),
        frame.scale(PlaneLabels.nearest(compared.prediction(), plane)));
  }

  /** The middle of a slice along the patient's axis closest to it, such as ", S -12.5 mm". */
  private static String place(Geometry geometry, Plane plane, int slice) {
    Affine affine = geometry.affine();
    char code = affine.axisCodes().charAt(2 - plane.through());
    int axis = Math.max(POSITIVE.indexOf(code), NEGATIVE.indexOf(code));
    if (axis < 0) {
      return "";
    }
    double[] index = new double[3];
    for (int i = 0; i < 3; i++) {
      index[i] = (geometry.extents().along(2 - i) - 1) / 2.0;
    }
    index[2 - plane.through()] = slice;
    double millimeters = affine.apply(index[0], index[1], index[2])[axis];
    return String.format(Locale.ROOT, ", %s %.1f mm", POSITIVE.charAt(axis), millimeters);
  }

  /** How a part of a plane becomes pixels. */
  private record Frame(PlaneBox box, int width, int height, double pixelsPerMillimeter) {
    static Frame of(Spacing spacing, Plane plane, PlaneBox box, int longest) {
      double across = box.columns() * spacing.along(plane.columns());
      double down = box.rows() * spacing.along(plane.rows());
      double scale = longest / Math.max(across, down);
      return new Frame(box, pixels(across, scale, longest), pixels(down, scale, longest), scale);
    }

    private static int pixels(double millimeters, double scale, int most) {
      return Math.clamp(Math.round(millimeters * scale), 1, most);
    }

    int[] scale(PlaneGrays grays, IntensityWindow window) {
      return grays.within(box).scaled(width, height, window);
    }

    PixelLabels scale(PlaneLabels labels) {
      return labels.within(box).scaled(width, height);
    }
  }
}
