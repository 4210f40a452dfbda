package org.unetrpp.training;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Backend;
import org.unetrpp.grid.Extents;
import org.unetrpp.loss.DeepSupervision;
import org.unetrpp.loss.LossSettings;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.MemoryScope;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.StateEntry;
import org.unetrpp.model.StateEntry.Role;
import org.unetrpp.model.StateLayout;
import org.unetrpp.model.TrainableState;
import org.unetrpp.model.TrainingMode;
import org.unetrpp.model.UnetrPlusPlus;
import org.unetrpp.optim.AdamW;
import org.unetrpp.optim.Optimizer;
import org.unetrpp.optim.Sgd;
import org.unetrpp.planning.Optimization;
import org.unetrpp.sampling.Batch;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;
import org.unetrpp.weights.StoredTensor;

/** Trains a network on a backend, which it does not close. */
public final class NetworkTrainer implements Trainer {
  private static final String PARAMETERS = "parameters";
  private static final String STATISTICS = "statistics";

  private final Backend backend;
  private final Architecture architecture;
  private final LossSettings loss;
  private final long seed;
  private final TrainableState state;
  private final MemoryScope scope;
  private final Optimizer optimizer;

  /**
   * A network before its first step.
   *
   * @param seed of dropout
   * @param initial values of every tensor of the state that is no alias and no counter
   */
  @SuppressWarnings("MustBeClosedChecker") // close closes it
  public NetworkTrainer(
      Backend backend,
      Architecture architecture,
      LossSettings loss,
      Optimization optimization,
      long seed,
      Function<StateEntry, float[]> initial) {
    this.backend = backend;
    this.architecture = architecture;
    this.loss = loss;
    this.seed = seed;
    state = new TrainableState(backend, architecture, initial);
    scope = backend.scopes().open();
    optimizer = optimizer(optimization);
  }

  private Optimizer optimizer(Optimization optimization) {
    Buffer values = state.values();
    Buffer gradients = state.gradientValues();
    return switch (optimization.method()) {
      case SGD ->
          new Sgd(
              backend,
              values,
              gradients,
              optimization.momentum(),
              optimization.weightDecay(),
              optimization.maxGradientNorm());
      case ADAMW ->
          new AdamW(
              backend,
              values,
              gradients,
              optimization.weightDecay(),
              optimization.maxGradientNorm());
    };
  }

  @Override
  public StepReport step(Batch batch, long step, double learningRate) {
    backend.training().clear(state.gradientValues());
    try (var _ = backend.scopes().open()) {
      TrainingMode mode = new TrainingMode(state.gradients(), seed, step);
      DeepSupervision.Loss found = loss(logits(batch, mode), batch);
      found.backward();
      double norm = optimizer.step(learningRate, step);
      return new StepReport(found.total(), found.heads(), norm);
    }
  }

  @Override
  public ValidationReport evaluate(Batch batch) {
    try (var _ = backend.scopes().open()) {
      List<Tensor> heads = logits(batch, null);
      double total = loss(heads, batch).total(); // leaves probabilities
      Counts counts = new Counts(architecture.classes());
      counts.add(heads.getFirst().toArray(), batch);
      return new ValidationReport(
          total, counts.truePositives, counts.falsePositives, counts.falseNegatives);
    }
  }

  private List<Tensor> logits(Batch batch, @Nullable TrainingMode mode) {
    Extents patch = batch.extents();
    Shape shape =
        Shape.of(batch.size(), batch.channels(), patch.depth(), patch.height(), patch.width());
    Tensor image = Tensor.of(backend, shape, batch.image());
    return new UnetrPlusPlus(architecture, state.parameters(), mode)
        .forwardWithDeepSupervision(image);
  }

  private DeepSupervision.Loss loss(List<Tensor> logits, Batch batch) {
    Extents stem = architecture.stem();
    Extents second = stem.times(architecture.downsampling().getFirst());
    List<Tensor> targets = new ArrayList<>();
    for (Extents factor : List.of(Extents.cube(1), stem, second)) {
      Extents grid = batch.extents().dividedBy(factor);
      Shape shape = Shape.of(batch.size(), grid.depth(), grid.height(), grid.width());
      float[] labels =
          DeepSupervision.coarse(batch.labels(), batch.size(), batch.extents(), factor);
      targets.add(Tensor.of(backend, shape, labels));
    }
    return DeepSupervision.of(logits, targets, loss);
  }

  /** Voxels rightly and wrongly classified, by class. */
  private static final class Counts {
    private final long[] truePositives;
    private final long[] falsePositives;
    private final long[] falseNegatives;

    Counts(int classes) {
      truePositives = new long[classes];
      falsePositives = new long[classes];
      falseNegatives = new long[classes];
    }

    /** Takes the most probable class, the first of equals. */
    void add(float[] probabilities, Batch batch) {
      int classes = truePositives.length;
      int voxels = batch.labels().length / batch.size();
      for (int item = 0; item < batch.size(); item++) {
        for (int voxel = 0; voxel < voxels; voxel++) {
          int found = 0;
          int first = item * classes * voxels + voxel;
          for (int k = 1; k < classes; k++) {
            if (probabilities[first + k * voxels] > probabilities[first + found * voxels]) {
              found = k;
            }
          }
          count(found, batch.labels()[item * voxels + voxel]);
        }
      }
    }

    private void count(int found, int expected) {
      if (found == expected) {
        truePositives[expected]++;
      } else {
        falsePositives[found]++;
        falseNegatives[expected]++;
      }
    }
  }

  @Override
  public SequencedMap<String, float[]> snapshot() {
    SequencedMap<String, float[]> snapshot = new LinkedHashMap<>();
    buffers().forEach((name, buffer) -> snapshot.put(name, backend.download(buffer)));
    return snapshot;
  }

  @Override
  public void restore(SequencedMap<String, float[]> snapshot) {
    Map<String, Buffer> buffers = buffers();
    if (!buffers.keySet().equals(snapshot.keySet())) {
      throw new IllegalArgumentException(
          "a snapshot of %s, expected %s".formatted(snapshot.keySet(), buffers.keySet()));
    }
    buffers.forEach((name, buffer) -> {
      int found = snapshot.getOrDefault(name, new float[0]).length;
      if (found != buffer.elements()) {
        throw new IllegalArgumentException(
            "a snapshot with %d values of %s, expected %d"
                .formatted(found, name, buffer.elements()));
      }
    });
    buffers.forEach(
        (name, buffer) -> backend.upload(snapshot.getOrDefault(name, new float[0]), buffer));
  }

  private SequencedMap<String, Buffer> buffers() {
    SequencedMap<String, Buffer> buffers = new LinkedHashMap<>();
    buffers.put(PARAMETERS, state.values());
    buffers.put(STATISTICS, state.statistics());
    buffers.putAll(optimizer.state());
    return buffers;
  }

  @Override
  public List<StoredTensor> tensors() {
    List<StoredTensor> tensors = new ArrayList<>();
    for (StateEntry entry : StateLayout.of(architecture)) {
      if (entry.aliasOf() == null && entry.role() != Role.COUNTER) {
        List<Long> shape = entry.shape().stream().map(Integer::longValue).toList();
        float[] values = state.parameters().get(entry.name()).toArray();
        tensors.add(StoredTensor.ofFloats(entry.name(), shape, values));
      }
    }
    return tensors;
  }

  @Override
  public void close() {
    scope.close();
    state.close();
  }
}
