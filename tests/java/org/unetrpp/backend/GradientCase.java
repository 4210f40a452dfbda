package org.unetrpp.backend;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.unetrpp.backend.reference.ReferenceBackend;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

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
  private final List<Values.Role> roles = new ArrayList<>();

  GradientCase(int outputs, Function function) {
    this.outputs = outputs;
    this.function = function;
  }

  /** Adds activations, evenly spread between -{@code spread} and {@code spread}. */
  GradientCase activations(int elements, double spread) {
    leaves.add(values(elements, 0, spread));
    roles.add(Values.Role.ACTIVATION);
    return this;
  }

  /** Adds a parameter of values evenly spread around {@code center}. */
  GradientCase parameter(int elements, double center, double spread) {
    leaves.add(values(elements, center, spread));
    roles.add(Values.Role.PARAMETER);
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
  private List<double[]> gradients(Backend backend, boolean coarse) {
    try (var _ = backend.scopes().open()) {
      Values values = new Values(backend, coarse);
      List<Buffer> buffers = upload(values);
      Buffer y = values.unwritten(outputs);
      Backward backward = function.run(backend, buffers, y);
      List<Buffer> gradients = new ArrayList<>();
      for (int leaf = 0; leaf < leaves.size(); leaf++) {
        gradients.add(values.of(roles.get(leaf), new float[leaves.get(leaf).length]));
      }
      backward.apply(values.of(Values.Role.ACTIVATION, weights()), gradients);
      values.requireNothingWrittenOutside();
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

  private List<Buffer> upload(Values values) {
    List<Buffer> buffers = new ArrayList<>();
    for (int leaf = 0; leaf < leaves.size(); leaf++) {
      buffers.add(values.of(roles.get(leaf), leaves.get(leaf)));
    }
    return buffers;
  }

  private double objective(Backend backend) {
    try (var _ = backend.scopes().open()) {
      Values leafValues = new Values(backend, false);
      Buffer y = leafValues.unwritten(outputs);
      var _ = function.run(backend, upload(leafValues), y);
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
      List<double[]> gradients = gradients(backend, false);
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
      compare(
          backend,
          reference,
          (leaf, actual, expected) -> {
            double scale = Math.max(1e-3, largest(expected));
            for (int i = 0; i < expected.length; i++) {
              assertThat(Math.abs(actual[i] - expected[i]) / scale)
                  .as("leaf %d element %d", leaf, i)
                  .isLessThan(tolerance);
            }
          });
    }
  }

  /** Checks that every leaf's gradient is the same on two backends of the same kind. */
  void requireSameBytes(Backend one, Backend other) {
    compare(
        one,
        other,
        (leaf, actual, expected) -> assertThat(actual).as("leaf %d", leaf).isEqualTo(expected));
  }

  /** Checks the Euclidean norm of the errors of every leaf's gradient, relative to its own. */
  void requireCloseTo(Backend reference, Backend backend, double tolerance) {
    compare(
        backend,
        reference,
        (leaf, actual, expected) -> {
          double difference = 0;
          double norm = 0;
          for (int i = 0; i < expected.length; i++) {
            difference += Math.pow(actual[i] - expected[i], 2);
            norm += Math.pow(expected[i], 2);
          }
          assertThat(Math.sqrt(difference))
              .as("error of leaf %d", leaf)
              .isLessThanOrEqualTo(tolerance * Math.sqrt(norm));
        });
  }

  /** Compares the gradients of one leaf. */
  @FunctionalInterface
  private interface Comparison {
    void compare(int leaf, double[] actual, double[] expected);
  }

  private void compare(Backend backend, Backend reference, Comparison comparison) {
    boolean coarse = backend.computeType() == DType.BFLOAT16;
    List<double[]> actual = gradients(backend, coarse);
    List<double[]> expected = gradients(reference, coarse);
    for (int leaf = 0; leaf < leaves.size(); leaf++) {
      comparison.compare(leaf, actual.get(leaf), expected.get(leaf));
    }
    assertThat(backend.allocator().bytesInUse()).isZero();
  }

  private static double largest(double[] values) {
    return Arrays.stream(values).map(Math::abs).max().orElse(0);
  }
}
