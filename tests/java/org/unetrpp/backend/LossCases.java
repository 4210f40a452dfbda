package org.unetrpp.backend;

import static org.unetrpp.backend.Values.Role.ACTIVATION;
import static org.unetrpp.backend.Values.Role.PARAMETER;

import java.util.ArrayList;
import java.util.List;
import org.unetrpp.backend.ContractCase.Body;
import org.unetrpp.memory.Buffer;

/** The loss and the optimizers. */
final class LossCases {
  private final List<ContractCase> cases = new ArrayList<>();

  private LossCases() {}

  static List<ContractCase> all() {
    LossCases all = new LossCases();
    all.sums();
    all.gradients();
    all.optimizers();
    return all.cases;
  }

  private void add(String name, Body body) {
    cases.add(new ContractCase(name, body));
  }

  private void sums() {
    lossSums(2, 2, 5, 1);
    lossSums(2, 14, 3000, 3);
    lossSums(1, 4, 2048, 60);
    lossSums(3, 3, 1025, 0.1);
    lossSums(2, 1, 7, 1);
    lossSums(1, 37, 300, 2);
    add(
        "loss of sure and wrong predictions",
        (backend, v) -> {
          Buffer logits = v.of(ACTIVATION, -300, 0, 200, 0); // 2 classes of 2 voxels
          Buffer target = v.of(ACTIVATION, 0, 0);
          results(v, backend.training().lossSums(logits, target, logits, 1, 2), 1);
          v.result("probabilities", logits);
        });
  }

  private void lossSums(int batch, int classes, int voxels, double scale) {
    add(
        "loss of %d times %d voxels, %d classes, logits of %s"
            .formatted(batch, voxels, classes, scale),
        (backend, v) -> {
          long count = (long) batch * classes * voxels;
          Buffer target = v.classes((long) batch * voxels, classes);
          Buffer logits = v.activations(count, 0, scale);
          Buffer probabilities = v.unwritten(count);
          TrainingPrimitives training = backend.training();
          // logits have lost scale times more digits than what they are the logarithm of
          double growth = Math.max(1, scale);
          results(v, training.lossSums(logits, target, probabilities, batch, classes), growth);
          v.result("probabilities", probabilities, growth);
          results(v, training.lossSums(logits, target, logits, batch, classes), growth);
          v.result("probabilities in the place of the logits", logits, growth);
        });
  }

  private static void results(Values v, LossSums sums, double growth) {
    v.result("overlap", growth, sums.overlap());
    v.result("predicted", growth, sums.predicted());
    v.result("target", 0, sums.target());
    v.result("cross entropy", growth, sums.crossEntropy());
  }

  private void gradients() {
    lossGradient(2, 2, 5);
    lossGradient(2, 5, 1500);
    lossGradient(1, 14, 301);
  }

  private void lossGradient(int batch, int classes, int voxels) {
    add(
        "loss gradient of %d times %d voxels, %d classes".formatted(batch, voxels, classes),
        (backend, v) -> {
          int count = batch * classes * voxels;
          Buffer target = v.classes((long) batch * voxels, classes);
          Buffer probabilities = v.probabilities(count / classes, classes);
          Buffer dlogits = v.unwritten(count);
          double[] overlap = new double[batch * classes];
          double[] predicted = new double[batch * classes];
          for (int i = 0; i < overlap.length; i++) {
            overlap[i] = Math.sin(i + 1);
            predicted[i] = Math.cos(3 * i);
          }
          LossWeights weights = new LossWeights(overlap, predicted, 0.7);
          TrainingPrimitives training = backend.training();
          training.lossGradient(probabilities, target, weights, dlogits, batch, classes);
          training.lossGradient(probabilities, target, weights, probabilities, batch, classes);
          // differences of values of their own size
          v.result("dlogits", dlogits, 2);
          v.result("dlogits in the place of the probabilities", probabilities, 2);
        });
  }

  private void optimizers() {
    for (int count : new int[] {1, 4097, 70_001}) {
      add(
          "sum of the squares of %d values".formatted(count),
          (backend, v) -> {
            double sum = backend.training().sumOfSquares(v.parameters(count));
            v.result("sum", 1, sum);
          });
      add(
          "SGD on %d values".formatted(count),
          (backend, v) -> {
            Buffer values = v.parameters(count);
            Buffer velocity = v.parameters(count);
            Buffer gradients = v.parameters(count);
            backend
                .training()
                .sgd(values, gradients, velocity, new SgdUpdate(0.01, 0.99, 3e-5, 0.5));
            v.result("values", values);
            v.result("velocity", velocity);
          });
      for (long step : new long[] {1, 2, 1000}) {
        add(
            "AdamW on %d values, step %d".formatted(count, step),
            (backend, v) -> {
              Buffer values = v.parameters(count);
              Buffer first = v.parameters(count);
              Buffer second = v.positive(PARAMETER, count);
              Buffer gradients = v.parameters(count);
              AdamUpdate update = new AdamUpdate(0.01, 0.9, 0.999, 1e-8, 0.01, 0.5, step);
              backend.training().adamW(values, gradients, first, second, update);
              v.result("values", values);
              v.result("first moment", first);
              v.result("second moment", second);
            });
      }
    }
  }
}
