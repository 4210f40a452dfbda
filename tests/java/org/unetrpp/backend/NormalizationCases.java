package org.unetrpp.backend;

import static org.unetrpp.backend.Values.Role.PARAMETER;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.unetrpp.backend.ContractCase.Body;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/** Layer, group, instance and batch normalization, their gradients, running statistics. */
final class NormalizationCases {
  private static final double EPSILON = 1e-5;

  private final List<ContractCase> cases = new ArrayList<>();

  private NormalizationCases() {}

  static List<ContractCase> all() {
    NormalizationCases all = new NormalizationCases();
    all.layerNorms();
    all.groupNorms();
    all.instanceNorms();
    all.batchNorms();
    return all.cases;
  }

  private void add(String name, Body body) {
    cases.add(new ContractCase(name, body));
  }

  /**
   * How much a large mean adds to rounding errors: the differences from a mean of {@code ratio}
   * deviations have lost that many times more than their own rounding; the mean itself, a sum, is
   * exacter than its terms.
   */
  private static double growth(double ratio) {
    return 1 + 0.1 * Math.abs(ratio);
  }

  private void layerNorms() {
    layerNorm(1, 1, 0);
    layerNorm(3, 7, 0);
    layerNorm(9, 32, 0);
    layerNorm(5000, 33, 1);
    layerNorm(70, 256, 5);
    layerNorm(5, 512, 0);
    layerNorm(300, 20, 300);
  }

  private void layerNorm(int rows, int channels, double mean) {
    long count = (long) rows * channels;
    String shape = ", %d rows of %d, mean %s".formatted(rows, channels, mean);
    // two deviations may lie close together where there are few channels
    double growth = 2 * growth(mean);
    add(
        "layer norm" + shape,
        (backend, v) -> {
          Buffer x = v.activations(count, mean, 1);
          Buffer gamma = v.parameters(channels);
          Buffer beta = v.parameters(channels);
          Buffer y = v.unwritten(count);
          backend.layerNorm(x, gamma, beta, y, channels, EPSILON);
          backend.layerNorm(x, gamma, beta, x, channels, EPSILON);
          v.result("y", y, growth);
          v.result("y in the place of x", x, growth);
        });
    if (channels == 1) {
      return; // every gradient is zero
    }
    add(
        "gradients of layer norm" + shape,
        (backend, v) -> {
          Buffer dy = v.activations(count);
          Buffer x = v.activations(count, mean, 1);
          Buffer gamma = v.parameters(channels);
          Buffer dx = v.unwritten(count);
          Buffer dgamma = v.parameters(channels);
          Buffer dbeta = v.parameters(channels);
          TrainingPrimitives training = backend.training();
          training.layerNormBackward(dy, x, gamma, dx, dgamma, dbeta, channels, EPSILON);
          training.layerNormBackward(dy, x, gamma, dy, dgamma, dbeta, channels, EPSILON);
          v.result("dx", dx, growth);
          v.result("dx in the place of dy", dy, growth);
          v.result("dgamma of both", dgamma, growth);
          v.result("dbeta of both", dbeta);
        });
  }

  private void groupNorms() {
    groupNorm(2, 4, 4, 4, 32, 1, 3);
    groupNorm(2, 5, 6, 5, 64, 32, 5);
    groupNorm(1, 9, 8, 7, 16, 4, 0);
    groupNorm(2, 1, 1, 1, 6, 3, 0);
    groupNorm(2, 3, 3, 3, 5, 5, 2);
    groupNorm(2, 3, 4, 5, 300, 4, 0);
    groupNorm(1, 1, 2, 2, 512, 256, 0);
    groupNorm(1, 30, 17, 13, 2, 1, 1000);
  }

  private void groupNorm(
      int batch, int depth, int height, int width, int channels, int groups, double mean) {
    Grid grid = new Grid(batch, new Extents(depth, height, width));
    long count = grid.rows() * channels;
    String shape =
        ", %d of %s, %d channels in %d groups, mean %s"
            .formatted(batch, grid.extents(), channels, groups, mean);
    // two deviations may lie close together where there are few values in a group
    double growth = (grid.tokens() * (channels / groups) < 10 ? 20 : 2) * growth(mean);
    add(
        "group norm" + shape,
        (backend, v) -> {
          Buffer x = v.activations(count, mean, 1);
          Buffer gamma = v.parameters(channels);
          Buffer beta = v.parameters(channels);
          Buffer y = v.unwritten(count);
          backend.groupNorm(x, gamma, beta, y, grid, channels, groups, EPSILON);
          backend.groupNorm(x, gamma, beta, x, grid, channels, groups, EPSILON);
          v.result("y", y, growth);
          v.result("y in the place of x", x, growth);
        });
    add(
        "gradients of group norm" + shape,
        (backend, v) -> {
          Buffer dy = v.activations(count);
          Buffer x = v.activations(count, mean, 1);
          Buffer gamma = v.parameters(channels);
          Buffer dx = v.unwritten(count);
          Buffer dgamma = v.parameters(channels);
          Buffer dbeta = v.parameters(channels);
          TrainingPrimitives training = backend.training();
          for (Buffer result : List.of(dx, x)) {
            training.groupNormBackward(
                dy, x, gamma, result, dgamma, dbeta, grid, channels, groups, EPSILON);
          }
          v.result("dx", dx, growth);
          v.result("dx in the place of x", x, growth);
          v.result("dgamma of both", dgamma, growth);
          v.result("dbeta of both", dbeta);
        });
  }

  private void instanceNorms() {
    instanceNorm(2, 7, 20, 21, 16, 0);
    instanceNorm(3, 4, 5, 6, 16, 7);
    instanceNorm(1, 25, 40, 70, 3, 0);
    instanceNorm(2, 2, 2, 2, 33, 0);
    instanceNorm(1, 40, 20, 10, 2, 1000);
  }

  private void instanceNorm(
      int batch, int depth, int height, int width, int channels, double mean) {
    Grid grid = new Grid(batch, new Extents(depth, height, width));
    long count = grid.rows() * channels;
    String shape =
        ", %d of %s, %d channels, mean %s".formatted(batch, grid.extents(), channels, mean);
    double growth = 2 * growth(mean);
    add(
        "instance norm" + shape,
        (backend, v) -> {
          Buffer x = v.activations(count, mean, 1);
          Buffer y = v.unwritten(count);
          backend.groupNorm(x, null, null, y, grid, channels, channels, EPSILON);
          backend.groupNorm(x, null, null, x, grid, channels, channels, EPSILON);
          v.result("y", y, growth);
          v.result("y in the place of x", x, growth);
        });
    add(
        "gradient of instance norm" + shape,
        (backend, v) -> {
          Buffer dy = v.activations(count);
          Buffer x = v.activations(count, mean, 1);
          Buffer dx = v.unwritten(count);
          for (Buffer result : List.of(dx, dy)) {
            backend
                .training()
                .groupNormBackward(
                    dy, x, null, result, null, null, grid, channels, channels, EPSILON);
          }
          v.result("dx", dx, growth);
          v.result("dx in the place of dy", dy, growth);
        });
  }

  private void batchNorms() {
    add(
        "instance norm of one voxel",
        (backend, v) -> {
          Buffer x = v.activations(10);
          Buffer beta = v.parameters(5);
          Grid grid = new Grid(2, Extents.cube(1));
          backend.groupNorm(x, v.parameters(5), beta, x, grid, 5, 5, EPSILON);
          v.result("y, which is beta", x);
        });
    for (int channels : new int[] {1, 24, 257}) {
      add(
          "batch norm, 150 rows of " + channels,
          (backend, v) -> {
            Buffer x = v.activations(150L * channels, 0, 2);
            ChannelNorm.Batch norm = batchNorm(v, channels, 0);
            Buffer y = v.unwritten(x.elements());
            backend.batchNorm(x, norm, y, channels, EPSILON);
            backend.batchNorm(x, norm, x, channels, EPSILON);
            v.result("y", y, 2);
            v.result("y in the place of x", x, 2);
          });
    }
    statistics(2, 3, 0);
    statistics(3000, 6, 0);
    statistics(64, 256, 3);
    statistics(5000, 2, 1000);
  }

  private void statistics(int rows, int channels, double mean) {
    add(
        "running statistics, %d rows of %d, mean %s".formatted(rows, channels, mean),
        (backend, v) -> {
          ChannelNorm.Batch norm = batchNorm(v, channels, mean);
          Buffer x = v.activations((long) rows * channels, mean, 1);
          backend.training().updateStatistics(x, norm, channels, 0.1);
          backend.training().updateStatistics(x, norm, channels, 0.75);
          v.result("mean", norm.mean());
          v.result("variance", norm.variance(), growth(mean));
          v.exactResult("gamma", norm.gamma());
          v.exactResult("beta", norm.beta());
        });
  }

  private static ChannelNorm.Batch batchNorm(Values v, int channels, double mean) {
    float[] means = new float[channels];
    Arrays.fill(means, (float) mean);
    return new ChannelNorm.Batch(
        "norm1",
        v.parameters(channels),
        v.parameters(channels),
        v.of(PARAMETER, means),
        v.positive(PARAMETER, channels));
  }
}
