package org.unetrpp.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.ResidualBlockParameters.Tail;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/** What is special about the CPU's boxes in training mode. */
class CpuTrainingBoxesTest {
  private static final Grid GRID = new Grid(2, new Extents(5, 6, 7));

  private static CpuBackend fused;

  @BeforeAll
  static void open() {
    fused = new CpuBackend(2);
  }

  @AfterAll
  static void close() {
    fused.close();
  }

  private static ResidualBlockParameters block(
      Case random, int in, int out, double scale, @Nullable Tail tail) {
    return new ResidualBlockParameters(
        "block",
        in,
        out,
        random.random(27L * in * out, scale),
        new ChannelNorm.Instance(),
        random.random(27L * out * out, scale),
        new ChannelNorm.Instance(),
        in == out ? null : random.random((long) in * out, scale),
        tail);
  }

  /** Gradients of the parameters of a residual block. */
  private static List<float[]> gradients(int in, int out, boolean withInput) {
    try (var _ = fused.scopes().open()) {
      Case random = new Case(fused, 5);
      ResidualBlockParameters parameters = block(random, in, out, 0.2, null);
      ResidualBlockParameters to = block(random, in, out, 0, null);
      Buffer x = random.random(GRID.rows() * in, 1);
      Buffer y = random.poisoned(GRID.rows() * out);
      Buffer dy = random.random(y.elements(), 1);
      Buffer dx = withInput ? random.poisoned(x.elements()) : null;
      fused
          .trainingBoxes()
          .residualBlock(x, parameters, null, Dropout.NONE, y, GRID)
          .apply(dy, to, dx);
      List<float[]> found = new ArrayList<>();
      found.add(fused.download(to.weight1()));
      found.add(fused.download(to.weight2()));
      if (to.shortcut() != null) {
        found.add(fused.download(to.shortcut()));
      }
      return found;
    }
  }

  @ParameterizedTest(name = "{0} to {1} channels")
  @CsvSource({"1, 16", "3, 8", "8, 8"})
  void parametersHaveTheSameGradientsWhetherThatOfTheInputIsWantedOrNot(int in, int out) {
    List<float[]> with = gradients(in, out, true);
    List<float[]> without = gradients(in, out, false);
    for (int i = 0; i < with.size(); i++) {
      assertThat(without.get(i)).as("parameter %d", i).isEqualTo(with.get(i)).doesNotContain(0);
    }
  }

  @Test
  void whatABoxKeptIsReleasedWithItsGradient() {
    try (var _ = fused.scopes().open()) {
      Case random = new Case(fused, 5);
      ResidualBlockParameters parameters = block(random, 8, 8, 0.2, null);
      ResidualBlockParameters to = block(random, 8, 8, 0, null);
      Buffer x = random.random(GRID.rows() * 8, 1);
      Buffer y = random.poisoned(x.elements());
      Buffer dx = random.poisoned(x.elements());
      Buffer dy = random.random(y.elements(), 1);
      long before = fused.allocator().bytesInUse();
      var pullback =
          fused.trainingBoxes().residualBlock(x, parameters, null, Dropout.NONE, y, GRID);
      assertThat(fused.allocator().bytesInUse() - before).isGreaterThanOrEqualTo(2 * x.bytes());
      pullback.apply(dy, to, dx);
      assertThat(fused.allocator().bytesInUse()).isEqualTo(before);
    }
  }

  @Test
  void aTailNeedsSomethingToBeAddedTo() {
    try (var _ = fused.scopes().open()) {
      Case random = new Case(fused, 5);
      Tail tail = new Tail("tail", random.random(64, 1), random.random(8, 1));
      ResidualBlockParameters parameters = block(random, 8, 8, 0.2, tail);
      Buffer x = random.random(GRID.rows() * 8, 1);
      assertThatThrownBy(
              () -> fused.trainingBoxes().residualBlock(x, parameters, null, Dropout.NONE, x, GRID))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("block has a tail but nothing to add it to");
    }
  }
}
