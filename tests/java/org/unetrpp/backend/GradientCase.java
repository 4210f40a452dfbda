package org.unetrpp.backend;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.unetrpp.backend.reference.ReferenceBackend;
import org.unetrpp.memory.Buffer;

/**
 * A differentiable function of several buffers, to be checked: on the reference backend against
 * central differences, on another against the reference backend.
 */
final class GradientCase {
  /** Leaves are multiples of this, and so exact in every type, also after a step. */
  private static final double GRAIN = 0x1p-12;

  /**
   * Step of central differences. Their error is that of the activations that the step moves across
   * the kink of LeakyReLU, and grows with it; the arithmetic's is 1e-16 divided by it.
   */
  private static final double STEP = 0x1p-18;

  private static final int SAMPLES = 6;

  /** Gradient of an output: adds to {@code gradients}, which begin at zero, one for each leaf. */
  @FunctionalInterface
  interface Backward {
    void apply(Buffer dy, List<Buffer> gradients);
  }

  /** Writes the output and returns its gradient. */
  @FunctionalInterface
  interface Function {
    Backward run(Backend backend, List<Buffer> leaves, Buffer y);
  }

  private final Function function;
  private final int outputs;
  private final Random random = new Random(1);
  private final List<float[]> leaves = new ArrayList<>();

  GradientCase(int outputs, Function function) {
    this.outputs = outputs;
    this.function = function;
  }

  /** Adds a leaf of values evenly spread around {@code center}. */
  GradientCase leaf(int elements, double center, double spread) {
    leaves.add(values(elements, center, spread));
    return this;
  }

  private float[] values(int elements, double center, double spread) {
    float[] values = new float[elements];
    for (int i = 0; i < elements; i++) {
      double value = center + spread * (2 * random.nextDouble() - 1);
      values[i] = (float) (Math.rint(value / GRAIN) * GRAIN);
    }
    return values;
  }

  /** Gradients of the sum of the outputs times fixed weights. */
  private List<double[]> gradients(Backend backend) {
    try (var _ = backend.scopes().open()) {
      List<Buffer> buffers = upload(backend, leaves);
      Buffer y = poisoned(backend, outputs);
      Backward backward = function.run(backend, buffers, y);
      List<Buffer> gradients = new ArrayList<>();
      for (float[] leaf : leaves) {
        Buffer gradient = backend.scopes().allocate(backend.computeType(), leaf.length);
        backend.training().clear(gradient);
        gradients.add(gradient);
      }
      backward.apply(upload(backend, List.of(weights())).getFirst(), gradients);
      return gradients.stream().map(backend::downloadDouble).toList();
    }
  }

  private float[] weights() {
    Random own = new Random(2);
    float[] weights = new float[outputs];
    for (int i = 0; i < outputs; i++) {
      weights[i] = (float) (Math.rint((2 * own.nextDouble() - 1) / GRAIN) * GRAIN);
    }
    return weights;
  }

  private static List<Buffer> upload(Backend backend, List<float[]> values) {
    return values.stream()
        .map(leaf -> {
          Buffer buffer = backend.scopes().allocate(backend.computeType(), leaf.length);
          backend.upload(leaf, buffer);
          return buffer;
        })
        .toList();
  }

  private static Buffer poisoned(Backend backend, int elements) {
    Buffer buffer = backend.scopes().allocate(backend.computeType(), elements);
    float[] nan = new float[elements];
    Arrays.fill(nan, Float.NaN);
    backend.upload(nan, buffer);
    return buffer;
  }

  private double objective(Backend backend) {
    try (var _ = backend.scopes().open()) {
      Buffer y = poisoned(backend, outputs);
      var _ = function.run(backend, upload(backend, leaves), y);
      double[] values = backend.downloadDouble(y);
      float[] weights = weights();
      double sum = 0;
      for (int i = 0; i < outputs; i++) {
        sum += weights[i] * values[i];
      }
      return sum;
    }
  }

  /** Checks sampled elements of every leaf's gradient on the reference backend. */
  void requireCentralDifferences(double tolerance) {
    try (Backend backend = new ReferenceBackend()) {
      List<double[]> gradients = gradients(backend);
      for (int leaf = 0; leaf < leaves.size(); leaf++) {
        double scale = Math.max(1e-3, largest(gradients.get(leaf)));
        for (int sample = 0; sample < SAMPLES; sample++) {
          int element = random.nextInt(leaves.get(leaf).length);
          double expected = difference(backend, leaf, element);
          assertThat(Math.abs(gradients.get(leaf)[element] - expected) / scale)
              .as("leaf %d element %d: %s", leaf, element, expected)
              .isLessThan(tolerance);
        }
      }
      assertThat(backend.allocator().bytesInUse()).isZero();
    }
  }

  private double difference(Backend backend, int leaf, int element) {
    float[] values = leaves.get(leaf);
    float before = values[element];
    values[element] = (float) (before + STEP);
    double above = objective(backend);
    values[element] = (float) (before - STEP);
    double below = objective(backend);
    values[element] = before;
    return (above - below) / (2 * STEP);
  }

  /** Checks every element of every leaf's gradient, relative to the leaf's largest. */
  void requireEqualToReference(Backend backend, double tolerance) {
    try (Backend reference = new ReferenceBackend()) {
      List<double[]> expected = gradients(reference);
      List<double[]> actual = gradients(backend);
      for (int leaf = 0; leaf < leaves.size(); leaf++) {
        double scale = Math.max(1e-3, largest(expected.get(leaf)));
        for (int i = 0; i < expected.get(leaf).length; i++) {
          assertThat(Math.abs(actual.get(leaf)[i] - expected.get(leaf)[i]) / scale)
              .as("leaf %d element %d", leaf, i)
              .isLessThan(tolerance);
        }
      }
    }
    assertThat(backend.allocator().bytesInUse()).isZero();
  }

  private static double largest(double[] values) {
    return Arrays.stream(values).map(Math::abs).max().orElse(0);
  }
}
