package org.unetrpp.training;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.List;
import java.util.function.ToDoubleFunction;
import org.unetrpp.drawing.BitmapFont;
import org.unetrpp.drawing.Picture;

/** Losses and Dice over the epochs of a run, as a picture. */
final class Chart {
  static final int WIDTH = 960;
  static final int HEIGHT = 720;
  private static final int LEFT = 90;
  private static final int RIGHT = WIDTH - 30;
  private static final int DOT = 2;
  private static final int LETTER_ADVANCE = DOT * BitmapFont.ADVANCE;
  private static final int LETTER_HEIGHT = DOT * BitmapFont.HEIGHT;
  private static final int WHITE = 0xffffff;
  private static final int INK = 0x303030;
  private static final int GRID = 0xe0e0e0;
  private static final int TICKS = 5;
  private static final int TICK_GAP = 8;

  private static final List<Curve> LOSSES =
      List.of(
          new Curve("training loss", 0x1f77b4, EpochResult::trainingLoss),
          new Curve("validation loss", 0xd95f02, EpochResult::validationLoss));
  private static final List<Curve> DICE =
      List.of(
          new Curve("Dice", 0x8fce8f, EpochResult::dice),
          new Curve("moving average", 0x1b7837, EpochResult::averageDice));

  private final List<EpochResult> epochs;
  private final Picture picture = new Picture(WIDTH, HEIGHT, WHITE);

  private Chart(List<EpochResult> epochs) {
    this.epochs = epochs;
  }

  /** A value of each epoch. */
  private record Curve(String name, int color, ToDoubleFunction<EpochResult> value) {}

  /** A range of values, drawn between two rows of pixels. */
  private record Scale(double low, double high, int start, int end) {
    int pixel(double value) {
      return (int) Math.round(start + (value - low) / (high - low) * (end - start));
    }

    /** Distance of ticks: 1, 2 or 5 times a power of ten, at most {@link #TICKS} of them. */
    BigDecimal tickDistance() {
      double least = (high - low) / TICKS;
      int exponent = (int) Math.floor(StrictMath.log10(least));
      for (int factor : new int[] {1, 2, 5}) {
        BigDecimal distance = BigDecimal.valueOf(factor).scaleByPowerOfTen(exponent);
        if (distance.doubleValue() >= least) {
          return distance;
        }
      }
      return BigDecimal.ONE.scaleByPowerOfTen(exponent + 1);
    }
  }

  /** The chart. */
  static Picture draw(List<EpochResult> epochs) {
    Chart chart = new Chart(epochs);
    chart.panel(LOSSES, chart.lossScale(50, 330));
    chart.panel(DICE, new Scale(0, 1, 660, 380));
    chart.write(RIGHT - 5 * LETTER_ADVANCE, 695, "epoch", INK);
    return chart.picture;
  }

  private void write(int left, int top, String text, int color) {
    picture.write(text, left, top, DOT, color);
  }

  private void panel(List<Curve> curves, Scale y) {
    Scale x = new Scale(1, Math.max(2, epochs.size()), LEFT, RIGHT);
    grid(x, y);
    int left = LEFT;
    for (Curve curve : curves) {
      draw(curve, x, y);
      int top = Math.min(y.start(), y.end()) - LETTER_HEIGHT - TICK_GAP;
      write(left, top, curve.name(), curve.color());
      left += (curve.name().length() + 2) * LETTER_ADVANCE;
    }
  }

  private void grid(Scale x, Scale y) {
    BigDecimal distance = y.tickDistance();
    for (BigDecimal tick = first(y, distance); tick.doubleValue() <= y.high(); ) {
      int row = y.pixel(tick.doubleValue());
      picture.fill(LEFT, row, RIGHT - LEFT, 1, GRID);
      String text = tick.toPlainString();
      write(LEFT - TICK_GAP - text.length() * LETTER_ADVANCE, row - LETTER_HEIGHT / 2, text, INK);
      tick = tick.add(distance);
    }
    BigDecimal step = x.tickDistance().max(BigDecimal.ONE);
    for (BigDecimal tick = first(x, step); tick.doubleValue() <= x.high(); ) {
      String text = tick.toPlainString();
      int bottom = Math.max(y.start(), y.end());
      picture.fill(x.pixel(tick.doubleValue()), bottom, 1, TICK_GAP / 2, INK);
      write(
          x.pixel(tick.doubleValue()) - text.length() * LETTER_ADVANCE / 2,
          bottom + TICK_GAP,
          text,
          INK);
      tick = tick.add(step);
    }
    picture.fill(LEFT, Math.max(y.start(), y.end()), RIGHT - LEFT, 1, INK);
  }

  /** The lowest multiple of a distance on a scale. */
  private static BigDecimal first(Scale scale, BigDecimal distance) {
    return BigDecimal.valueOf(scale.low())
        .divide(distance, 0, RoundingMode.CEILING)
        .multiply(distance)
        .setScale(Math.max(0, distance.scale()), RoundingMode.UNNECESSARY);
  }

  /** Joins neighboring epochs that have a value. */
  private void draw(Curve curve, Scale x, Scale y) {
    for (int i = 0; i < epochs.size(); i++) {
      double value = curve.value().applyAsDouble(epochs.get(i));
      if (!Double.isFinite(value)) {
        continue;
      }
      int column = x.pixel(epochs.get(i).epoch());
      int row = y.pixel(value);
      picture.fill(column - 1, row - 1, 4, 4, curve.color());
      double before = i == 0 ? Double.NaN : curve.value().applyAsDouble(epochs.get(i - 1));
      if (Double.isFinite(before)) {
        int previous = x.pixel(epochs.get(i - 1).epoch());
        picture.line(previous, y.pixel(before), column, row, curve.color());
      }
    }
  }

  /** Around all losses, and never empty. */
  private Scale lossScale(int top, int bottom) {
    double low = Double.POSITIVE_INFINITY;
    double high = Double.NEGATIVE_INFINITY;
    for (EpochResult epoch : epochs) {
      for (Curve curve : LOSSES) {
        double value = curve.value().applyAsDouble(epoch);
        low = Double.isFinite(value) ? Math.min(low, value) : low;
        high = Double.isFinite(value) ? Math.max(high, value) : high;
      }
    }
    if (low > high) {
      return new Scale(0, 1, bottom, top);
    }
    double margin = high > low ? 0.05 * (high - low) : Math.max(0.1, 0.1 * Math.abs(high));
    return new Scale(low - margin, high + margin, bottom, top);
  }
}
