package org.unetrpp.training;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.unetrpp.backend.Backend;
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

/** Training steps of a golden network on a backend. */
final class GoldenSteps {
  private static final Extents BLOCK = new Extents(4, 8, 8);

  private final Backend backend;
  private final Architecture architecture;
  private final Golden.Training golden;
  private final int steps;

  private GoldenSteps(Backend backend, Golden golden, double dropout, int steps) {
    this.backend = backend;
    architecture = golden.architecture().withDropout(dropout, dropout);
    this.golden = Objects.requireNonNull(golden.train());
    this.steps = steps;
  }

  /**
   * What the steps gave.
   *
   * @param losses of each step
   * @param heads losses of the heads of each step
   * @param norms of the gradients of each step
   * @param gradients of the first step, by parameter
   * @param state after all steps, by tensor
   */
  record Result(
      List<Double> losses,
      List<List<Double>> heads,
      List<Double> norms,
      Map<String, double[]> gradients,
      Map<String, double[]> state) {}

  /** All steps, without dropout, as they are recorded. */
  static Result run(Backend backend, Golden golden) {
    return run(backend, golden, Objects.requireNonNull(golden.train()).steps().size());
  }

  /** The first few steps. */
  static Result run(Backend backend, Golden golden, int steps) {
    return new GoldenSteps(backend, golden, 0, steps).run();
  }

  /** The first step, with dropout. */
  static Result runWithDropout(Backend backend, Golden golden, double dropout) {
    return new GoldenSteps(backend, golden, dropout, 1).run();
  }

  private Result run() {
    Result result =
        new Result(
            new ArrayList<>(),
            new ArrayList<>(),
            new ArrayList<>(),
            new LinkedHashMap<>(),
            new LinkedHashMap<>());
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
      for (int step = 0; step < steps; step++) {
        backend.training().clear(state.gradientValues());
        try (var _ = backend.scopes().open()) {
          DeepSupervision.Loss loss = loss(state, step);
          loss.backward();
          result.losses().add(loss.total());
          result.heads().add(loss.heads());
        }
        if (step == 0) {
          download(state.gradients(), result.gradients());
        }
        result.norms().add(optimizer.step(golden.learningRate(), step));
      }
      download(state.parameters(), result.state());
    }
    return result;
  }

  private void download(Parameters tensors, Map<String, double[]> to) {
    for (String name : tensors.names()) {
      to.put(name, backend.downloadDouble(tensors.buffer(name)));
    }
  }

  private DeepSupervision.Loss loss(TrainableState state, int step) {
    Extents patch = architecture.patch();
    Shape shape =
        Shape.of(
            golden.batch(),
            architecture.inputChannels(),
            patch.depth(),
            patch.height(),
            patch.width());
    float[] image =
        DeterministicTensor.input(
            "step%d/input".formatted(step), Math.toIntExact(shape.elements()));
    TrainingMode mode = new TrainingMode(state.gradients(), 0, step);
    List<Tensor> logits =
        new UnetrPlusPlus(architecture, state.parameters(), mode)
            .forwardWithDeepSupervision(Tensor.of(backend, shape, image));
    List<Tensor> targets = logits.stream().map(head -> target(head, step)).toList();
    return DeepSupervision.of(logits, targets, LossSettings.published(golden.batchDice()));
  }

  /** Classes that are constant over blocks of voxels, on the grid of a head. */
  private Tensor target(Tensor head, int step) {
    Extents patch = architecture.patch();
    Extents blocks = patch.dividedBy(BLOCK);
    int count = Math.toIntExact(golden.batch() * blocks.voxels());
    float[] uniform = DeterministicTensor.values("step%d/target".formatted(step), count, 0.5, 0.5);
    Shape shape = head.shape();
    Extents grid = new Extents(shape.extent(2), shape.extent(3), shape.extent(4));
    Extents stride = patch.dividedBy(grid);
    float[] values = new float[Math.toIntExact(golden.batch() * grid.voxels())];
    for (int i = 0; i < values.length; i++) {
      int w = i % grid.width() * stride.width() / BLOCK.width();
      int h = i / grid.width() % grid.height() * stride.height() / BLOCK.height();
      int d = i / grid.width() / grid.height() % grid.depth() * stride.depth() / BLOCK.depth();
      int item = i / Math.toIntExact(grid.voxels());
      int at = ((item * blocks.depth() + d) * blocks.height() + h) * blocks.width() + w;
      int classes = architecture.classes();
      values[i] = Math.min((int) Math.floor(uniform[at] * (double) classes), classes - 1);
    }
    return Tensor.of(
        backend, Shape.of(golden.batch(), grid.depth(), grid.height(), grid.width()), values);
  }
}
