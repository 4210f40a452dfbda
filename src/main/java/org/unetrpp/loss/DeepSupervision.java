package org.unetrpp.loss;

import java.util.ArrayList;
import java.util.List;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.LossSums;
import org.unetrpp.backend.LossWeights;
import org.unetrpp.grid.Extents;
import org.unetrpp.tensor.Gradients;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;

/**
 * {@link DiceCrossEntropy} of several heads, each half as important as the one before it, weights
 * scaled to a sum of 1: 4/7, 2/7, 1/7 for three.
 */
public final class DeepSupervision {
  private DeepSupervision() {}

  /**
   * What the loss is, and the tape behind it.
   *
   * @param total weighted sum of the heads' losses
   * @param heads loss of each head
   * @param tensor the total as a tensor of one value, on the tape of the logits
   */
  public record Loss(double total, List<Double> heads, Tensor tensor) {
    public Loss {
      heads = List.copyOf(heads);
    }

    /** Gradients of the total; those of parameters go where the network's gradients are. */
    public Gradients backward() {
      return tensor.backward(Tensor.of(tensor.backend(), tensor.shape(), 1));
    }
  }

  /** A head's loss on its way back. */
  private record Head(Tensor probabilities, Tensor target, LossWeights weights) {
    /** In place of the probabilities. */
    Tensor gradient() {
      Shape shape = probabilities.shape();
      Backend backend = probabilities.backend();
      backend
          .training()
          .lossGradient(
              probabilities.buffer(),
              target.buffer(),
              weights,
              probabilities.buffer(),
              shape.extent(0),
              shape.extent(1));
      return Tensor.over(backend, probabilities.buffer(), shape);
    }
  }

  /**
   * The loss. Its tensors live in the innermost memory scope.
   *
   * @param logits (B, K, D, H, W) of each head, full resolution first; they become probabilities
   * @param targets class of each voxel, (B, D, H, W) of each head
   * @throws IllegalArgumentException if the shapes do not fit
   */
  public static Loss of(List<Tensor> logits, List<Tensor> targets, LossSettings settings) {
    if (logits.size() != targets.size() || logits.isEmpty()) {
      throw new IllegalArgumentException(
          "%d heads and %d targets".formatted(logits.size(), targets.size()));
    }
    List<Head> heads = new ArrayList<>();
    List<Double> losses = new ArrayList<>();
    double total = 0;
    for (int i = 0; i < logits.size(); i++) {
      double weight = weight(i, logits.size());
      DiceCrossEntropy loss = head(logits.get(i), targets.get(i), settings, weight, heads);
      losses.add(loss.value());
      total += weight * loss.value();
    }
    Tensor value = Tensor.of(logits.getFirst().backend(), Shape.of(1), (float) total);
    Tensor tensor =
        value.producedBy(
            "deep supervision", logits, _ -> heads.stream().map(Head::gradient).toList());
    return new Loss(total, losses, tensor);
  }

  /** Importance of a head among {@code count}. */
  static double weight(int head, int count) {
    double sum = 2 - Math.scalb(1.0, 1 - count);
    return Math.scalb(1.0, -head) / sum;
  }

  private static DiceCrossEntropy head(
      Tensor logits, Tensor target, LossSettings settings, double weight, List<Head> heads) {
    Shape shape = logits.shape();
    Shape.require(
        "target",
        target.shape(),
        Shape.of(shape.extent(0), shape.extent(2), shape.extent(3), shape.extent(4)));
    int classes = shape.extent(1);
    LossSums sums =
        logits
            .backend()
            .training()
            .lossSums(logits.buffer(), target.buffer(), logits.buffer(), shape.extent(0), classes);
    long voxels = target.shape().elements() / shape.extent(0);
    DiceCrossEntropy loss = DiceCrossEntropy.of(sums, classes, voxels, settings);
    heads.add(new Head(logits, target, scaled(loss.weights(), weight)));
    return loss;
  }

  private static LossWeights scaled(LossWeights weights, double factor) {
    return new LossWeights(
        scaled(weights.overlap(), factor),
        scaled(weights.predicted(), factor),
        weights.crossEntropy() * factor);
  }

  private static double[] scaled(double[] values, double factor) {
    double[] result = new double[values.length];
    for (int i = 0; i < result.length; i++) {
      result[i] = values[i] * factor;
    }
    return result;
  }

  /**
   * Targets of a head on a coarser grid: with a factor s the target at i is the label at {@code s i
   * + s / 2}, rounded down.
   *
   * @param labels class of each voxel, (B, D, H, W)
   * @param extents D, H, W, multiples of {@code factor}
   * @return (B, D / s, H / s, W / s) as numbers
   */
  public static float[] coarse(short[] labels, int batch, Extents extents, Extents factor) {
    Extents to = extents.dividedBy(factor);
    float[] result = new float[Math.toIntExact(batch * to.voxels())];
    int index = 0;
    for (int item = 0; item < batch; item++) {
      for (int d = 0; d < to.depth(); d++) {
        int plane = item * extents.depth() + center(d, factor.depth());
        for (int h = 0; h < to.height(); h++) {
          int row = plane * extents.height() + center(h, factor.height());
          for (int w = 0; w < to.width(); w++) {
            result[index++] = labels[row * extents.width() + center(w, factor.width())];
          }
        }
      }
    }
    return result;
  }

  private static int center(int index, int factor) {
    return index * factor + factor / 2;
  }
}
