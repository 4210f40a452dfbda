package org.unetrpp.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unetrpp.drawing.PngFile;

class ChartTest {
  @TempDir Path folder;

  private static final int AVERAGE = 0x1b7837;
  private static final int TRAINING = 0x1f77b4;
  private static final int VALIDATION = 0xd95f02;

  @Test
  void curvesRunFromTheFirstEpochToTheLast() throws IOException {
    List<EpochResult> epochs = new ArrayList<>();
    for (int epoch = 1; epoch <= 11; epoch++) {
      double dice = (epoch - 1) / 10.0;
      epochs.add(epoch(epoch, 1 - 2 * dice, 1 - dice, dice, dice));
    }
    BufferedImage image = image(epochs);
    List<int[]> average = below(image, AVERAGE, 375);
    int[] first = average.getFirst();
    int[] last = average.getLast();
    // From the lower left to the upper right of the lower panel, straight.
    assertThat(first[0]).isCloseTo(90, within(2));
    assertThat(first[1]).isCloseTo(660, within(3));
    assertThat(last[0]).isCloseTo(930, within(3));
    assertThat(last[1]).isCloseTo(380, within(3));
    for (int[] point : average) {
      double expected = 660 - 280.0 * (point[0] - 90) / 840;
      assertThat((double) point[1]).isCloseTo(expected, within(4.0));
    }
    int[] training = below(image, TRAINING, 50).getLast();
    int[] validation = below(image, VALIDATION, 50).getLast();
    assertThat(training[1]).as("the lower loss is drawn lower").isGreaterThan(validation[1]);
  }

  @Test
  void oneEpochIsADotAndNumbersThatAreNoneAreGaps() throws IOException {
    double none = Double.NaN;
    assertThat(below(image(List.of(epoch(1, 0.5, none, 0.5, 0.5))), TRAINING, 50)).hasSize(16);
    BufferedImage gap =
        image(
            List.of(epoch(1, 1, none, 0, 0.25), epoch(2, 1, none, 0, none), epoch(3, 1, 2, 0, 1)));
    assertThat(below(gap, AVERAGE, 375)).hasSize(32); // two dots, no line
    assertThat(below(image(List.of(epoch(1, none, none, none, none))), TRAINING, 50)).isEmpty();
    assertThat(below(image(List.of()), TRAINING, 50)).isEmpty();
  }

  @Test
  void losesNothingOfAThousandEpochsOfAnyScale() throws IOException {
    List<EpochResult> epochs = new ArrayList<>();
    for (int epoch = 1; epoch <= 1000; epoch++) {
      epochs.add(epoch(epoch, -1e5 * epoch, 1e-3 / epoch, 0.5, 0.5));
    }
    assertThat(below(image(epochs), TRAINING, 50)).isNotEmpty();
  }

  private static EpochResult epoch(
      int epoch, double training, double validation, double dice, double average) {
    return new EpochResult(epoch, 0.01, training, validation, dice, average, false, List.of());
  }

  private BufferedImage image(List<EpochResult> epochs) throws IOException {
    Path file = folder.resolve("curve.png");
    PngFile.write(file, Chart.draw(epochs));
    BufferedImage image = ImageIO.read(file.toFile());
    assertThat(image.getWidth()).isEqualTo(Chart.WIDTH);
    assertThat(image.getHeight()).isEqualTo(Chart.HEIGHT);
    return image;
  }

  /** Pixels of a color under the names of the curves, column by column. */
  private static List<int[]> below(BufferedImage image, int rgb, int top) {
    List<int[]> points = new ArrayList<>();
    for (int x = 0; x < image.getWidth(); x++) {
      for (int y = image.getHeight() - 1; y >= top; y--) {
        if ((image.getRGB(x, y) & 0xffffff) == rgb) {
          points.add(new int[] {x, y});
        }
      }
    }
    return points;
  }
}
