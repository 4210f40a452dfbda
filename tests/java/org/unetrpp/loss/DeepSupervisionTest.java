package org.unetrpp.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.reference.ReferenceBackend;
import org.unetrpp.grid.Extents;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;

class DeepSupervisionTest {
  private static final Shape LOGITS = Shape.of(2, 3, 2, 4, 5);
  private static final Shape TARGET = Shape.of(2, 2, 4, 5);

  private final Backend backend = new ReferenceBackend();

  @AfterEach
  void close() {
    assertThat(backend.allocator().bytesInUse()).isZero();
    backend.close();
  }

  /** Values of the published loss for z = 2 sin(0.37 i) and y = 7 i mod 3, to 8 decimals. */
  @ParameterizedTest(name = "batch Dice {0}")
  @CsvSource({"true, -0.32410949, 1.56706452", "false, -0.32411909, 1.56705499"})
  void lossIsThePublishedOne(boolean batchDice, double dice, double total) {
    try (var _ = backend.scopes().open()) {
      LossSettings both = LossSettings.published(batchDice);
      LossSettings diceOnly = new LossSettings(batchDice, false, 1e-5, 1, 0);
      assertThat(loss(both)).isCloseTo(total, within(5e-7)); // logits are rounded to float32
      assertThat(loss(diceOnly)).isCloseTo(dice, within(5e-7));
      assertThat(loss(new LossSettings(batchDice, false, 1e-5, 0, 1)))
          .isCloseTo(1.89117408, within(5e-7));
    }
  }

  private double loss(LossSettings settings) {
    return DeepSupervision.of(List.of(logits()), List.of(target()), settings).total();
  }

  private Tensor logits() {
    float[] z = new float[Math.toIntExact(LOGITS.elements())];
    for (int i = 0; i < z.length; i++) {
      z[i] = (float) (2 * Math.sin(0.37 * i));
    }
    return Tensor.of(backend, LOGITS, z);
  }

  private Tensor target() {
    float[] y = new float[Math.toIntExact(TARGET.elements())];
    for (int i = 0; i < y.length; i++) {
      y[i] = 7 * i % 3;
    }
    return Tensor.of(backend, TARGET, y);
  }

  @ParameterizedTest(name = "batch Dice {0}, background {1}")
  @CsvSource({"true, false", "false, false", "true, true", "false, true"})
  void gradientIsTheCentralDifference(boolean batchDice, boolean background) {
    LossSettings settings = new LossSettings(batchDice, background, 1e-5, 0.7, 1.3);
    float step = 0x1p-12f;
    try (var _ = backend.scopes().open()) {
      Tensor z = logits().tracked();
      float[] values = z.toArray();
      double[] gradient =
          backend.downloadDouble(
              DeepSupervision.of(List.of(z), List.of(target()), settings)
                  .backward()
                  .of(z)
                  .buffer());
      for (int i = 0; i < values.length; i += 7) {
        float before = values[i];
        values[i] = before + step;
        double above = loss(values, settings);
        float raised = values[i];
        values[i] = before - step;
        double below = loss(values, settings);
        double expected = (above - below) / ((double) raised - values[i]);
        values[i] = before;
        assertThat(gradient[i]).isCloseTo(expected, within(1e-9)); // third derivative times step^2
      }
    }
  }

  private double loss(float[] z, LossSettings settings) {
    return DeepSupervision.of(List.of(Tensor.of(backend, LOGITS, z)), List.of(target()), settings)
        .total();
  }

  @Test
  void headsCountHalfOfTheOneBefore() {
    assertThat(DeepSupervision.weight(0, 3)).isCloseTo(4 / 7.0, within(1e-15));
    assertThat(DeepSupervision.weight(1, 3)).isCloseTo(2 / 7.0, within(1e-15));
    assertThat(DeepSupervision.weight(2, 3)).isCloseTo(1 / 7.0, within(1e-15));
    assertThat(DeepSupervision.weight(0, 1)).isEqualTo(1);
  }

  @Test
  void totalIsTheWeightedSumOfTheHeads() {
    try (var _ = backend.scopes().open()) {
      DeepSupervision.Loss loss =
          DeepSupervision.of(
              List.of(logits(), logits(), logits()),
              List.of(target(), target(), target()),
              LossSettings.published(true));
      assertThat(loss.heads()).hasSize(3);
      assertThat(loss.total()).isCloseTo(loss.heads().getFirst(), within(1e-12));
    }
  }

  /** Sources s i + s / 2: 2 to 2 i + 1, 4 to 4 i + 2, 8 to 8 i + 4. */
  @Test
  void coarseTargetsAreTheLabelsInTheMiddle() {
    Extents extents = new Extents(2, 8, 16);
    short[] labels = new short[2 * 8 * 16 * 2];
    for (int i = 0; i < labels.length; i++) {
      labels[i] = (short) i;
    }
    float[] coarse = DeepSupervision.coarse(labels, 2, extents, new Extents(2, 4, 8));
    assertThat(coarse).hasSize(2 * 2 * 2);
    assertThat(coarse[0]).isEqualTo(1 * 128 + 2 * 16 + 4);
    assertThat(coarse[3]).isEqualTo(1 * 128 + 6 * 16 + 12);
    assertThat(coarse[4]).isEqualTo(256 + 1 * 128 + 2 * 16 + 4);
    assertThat(DeepSupervision.coarse(labels, 2, extents, Extents.cube(1))[77]).isEqualTo(77);
  }

  @Test
  void rejectsTargetOfAnotherGrid() {
    try (var _ = backend.scopes().open()) {
      Tensor wrong = Tensor.uninitialized(backend, Shape.of(2, 2, 4, 4));
      assertThatThrownBy(() ->
              DeepSupervision.of(List.of(logits()), List.of(wrong), LossSettings.published(true)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("target has shape (2, 2, 4, 4), expected (2, 2, 4, 5)");
    }
  }
}
