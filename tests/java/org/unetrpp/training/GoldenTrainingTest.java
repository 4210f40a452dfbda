package org.unetrpp.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.ToDoubleFunction;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.reference.ReferenceBackend;
import org.unetrpp.grid.Extents;
import org.unetrpp.loss.DeepSupervision;
import org.unetrpp.loss.LossSettings;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.TrainableState;
import org.unetrpp.model.TrainingMode;
import org.unetrpp.model.UnetrPlusPlus;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.nn.Parameters;
import org.unetrpp.optim.Optimizer;
import org.unetrpp.optim.Sgd;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;
import org.unetrpp.testing.Golden;

/** Losses, gradients and three optimizer steps against the published implementation in float64. */
class GoldenTrainingTest {
  @ParameterizedTest(name = "{0}")
  @ValueSource(strings = {"synapse-tiny", "acdc-tiny", "lung-tiny", "tumor-tiny"})
  void referenceBackendEqualsThePublishedTraining(String name) {
    try (Backend backend = new ReferenceBackend()) {
      new Run(backend, Golden.read(name)).compare(_ -> 1e-9, _ -> 1e-9, 1e-12);
    }
  }

  /** Three training steps of a golden network. */
  private static final class Run {
    private final Backend backend;
    private final Architecture architecture;
    private final Golden.Training golden;

    Run(Backend backend, Golden golden) {
      this.backend = backend;
      architecture = golden.architecture().withDropout(0, 0);
      this.golden = Objects.requireNonNull(golden.train());
    }

    /**
     * Runs and compares.
     *
     * @param gradientTolerance of a parameter, relative to its largest gradient
     * @param stateTolerance of a tensor after the steps, relative to its largest value
     * @param lossTolerance of every loss and gradient norm, relative
     */
    void compare(
        ToDoubleFunction<String> gradientTolerance,
        ToDoubleFunction<String> stateTolerance,
        double lossTolerance) {
      try (TrainableState state =
          new TrainableState(
              backend,
              architecture,
              entry -> DeterministicTensor.ofState(entry.name(), entry.shape()))) {
        Optimizer optimizer =
            new Sgd(
                backend,
                state.values(),
                state.gradientValues(),
                golden.momentum(),
                golden.decay(),
                golden.longest());
        for (int step = 0; step < golden.steps().size(); step++) {
          Golden.Step expected = golden.steps().get(step);
          backend.training().clear(state.gradientValues());
          try (var _ = backend.scopes().open()) {
            DeepSupervision.Loss loss = loss(state, step);
            loss.backward();
            requireClose("loss", loss.total(), expected.loss(), lossTolerance);
            for (int head = 0; head < expected.heads().size(); head++) {
              requireClose(
                  "head " + head,
                  loss.heads().get(head),
                  expected.heads().get(head),
                  lossTolerance);
            }
          }
          if (expected.gradients() != null) {
            requireClose(state.gradients(), expected.gradients(), gradientTolerance);
          }
          double norm = optimizer.step(golden.learningRate(), step);
          requireClose("norm", norm, expected.norm(), 1e3 * lossTolerance);
        }
        requireClose(state.parameters(), golden.after(), stateTolerance);
      }
    }

    private DeepSupervision.Loss loss(TrainableState state, int step) {
      Extents patch = architecture.patch();
      int batch = golden.batch();
      Shape shape =
          Shape.of(
              batch, architecture.inputChannels(), patch.depth(), patch.height(), patch.width());
      float[] image =
          DeterministicTensor.input(
              "step%d/input".formatted(step), Math.toIntExact(shape.elements()));
      List<Tensor> logits =
          new UnetrPlusPlus(
                  architecture, state.parameters(), new TrainingMode(state.gradients(), 0, step))
              .forwardWithDeepSupervision(Tensor.of(backend, shape, image));
      return DeepSupervision.of(
          logits, targets(logits, step), LossSettings.published(golden.batchDice()));
    }

    /** The target of each head: constant over blocks of 4 x 8 x 8 voxels. */
    private List<Tensor> targets(List<Tensor> logits, int step) {
      Extents patch = architecture.patch();
      Extents block = new Extents(4, 8, 8);
      Extents blocks = patch.dividedBy(block);
      int count = Math.toIntExact(golden.batch() * blocks.voxels());
      float[] uniform =
          DeterministicTensor.values("step%d/target".formatted(step), count, 0.5, 0.5);
      List<Tensor> targets = new ArrayList<>();
      for (Tensor head : logits) {
        Shape shape = head.shape();
        Extents grid = new Extents(shape.extent(2), shape.extent(3), shape.extent(4));
        Extents stride = patch.dividedBy(grid);
        float[] values = new float[Math.toIntExact(golden.batch() * grid.voxels())];
        for (int i = 0; i < values.length; i++) {
          int w = i % grid.width() * stride.width() / block.width();
          int h = i / grid.width() % grid.height() * stride.height() / block.height();
          int d = i / grid.width() / grid.height() % grid.depth() * stride.depth() / block.depth();
          int item = i / Math.toIntExact(grid.voxels());
          int at = ((item * blocks.depth() + d) * blocks.height() + h) * blocks.width() + w;
          int classes = architecture.classes();
          values[i] = Math.min((int) Math.floor(uniform[at] * (double) classes), classes - 1);
        }
        targets.add(
            Tensor.of(
                backend,
                Shape.of(golden.batch(), grid.depth(), grid.height(), grid.width()),
                values));
      }
      return targets;
    }

    private void requireClose(
        Parameters actual,
        Map<String, Golden.Recorded> expected,
        ToDoubleFunction<String> tolerance) {
      assertThat(expected).isNotEmpty();
      List<String> failures = new ArrayList<>();
      expected.forEach((name, recorded) -> {
        if (name.endsWith("num_batches_tracked")) {
          return; // counted, not computed
        }
        double[] values = backend.downloadDouble(Objects.requireNonNull(actual.buffer(name)));
        double worst = 0;
        for (int i = 0; i < recorded.index().length; i++) {
          double error = Math.abs(values[recorded.index()[i]] - recorded.value()[i]);
          worst = Math.max(worst, error / recorded.absmax());
        }
        if (!(worst <= tolerance.applyAsDouble(name))) {
          failures.add(name + ": relative error " + worst);
        }
      });
      assertThat(failures).isEmpty();
    }

    private static void requireClose(
        String what, double actual, double expected, double tolerance) {
      assertThat(actual).as(what).isCloseTo(expected, within(tolerance * Math.abs(expected)));
    }
  }
}
