package org.unetrpp.backend.cpu;

import org.unetrpp.backend.AdamUpdate;
import org.unetrpp.backend.SgdUpdate;
import org.unetrpp.memory.Buffer;

/** The steps of the optimizers, each one pass over all parameters. */
final class OptimizerKernels {
  private final CpuContext context;

  OptimizerKernels(CpuContext context) {
    this.context = context;
  }

  /** Stochastic gradient descent with Nesterov's momentum. */
  void sgd(Buffer values, Buffer gradients, Buffer velocity, SgdUpdate update) {
    Values value = Values.of(values);
    Values gradient = Values.of(gradients);
    Values speed = Values.of(velocity);
    context.forEachTile(
        values.elements(),
        1,
        (first, count, worker) -> {
          float[] x = worker.array(0, count);
          float[] g = worker.array(1, count);
          float[] v = worker.array(2, count);
          value.read(first, x, count);
          gradient.read(first, g, count);
          speed.read(first, v, count);
          step(x, g, v, update, count);
          value.write(first, x, count);
          speed.write(first, v, count);
        });
    context.packs().invalidate(values.address(), values.bytes());
  }

  private static void step(float[] x, float[] g, float[] v, SgdUpdate update, int count) {
    float rate = (float) update.learningRate();
    float momentum = (float) update.momentum();
    float decay = (float) update.weightDecay();
    float scale = (float) update.gradientScale();
    for (int i = 0; i < count; i++) {
      float gradient = scale * g[i] + decay * x[i];
      float speed = momentum * v[i] + gradient;
      v[i] = speed;
      x[i] -= rate * (gradient + momentum * speed);
    }
  }

  /** AdamW. */
  void adamW(Buffer values, Buffer gradients, Buffer first, Buffer second, AdamUpdate update) {
    Values value = Values.of(values);
    Values gradient = Values.of(gradients);
    Values mean = Values.of(first);
    Values square = Values.of(second);
    context.forEachTile(
        values.elements(),
        1,
        (from, count, worker) -> {
          float[] x = worker.array(0, count);
          float[] g = worker.array(1, count);
          float[] m = worker.array(2, count);
          float[] v = worker.array(3, count);
          value.read(from, x, count);
          gradient.read(from, g, count);
          mean.read(from, m, count);
          square.read(from, v, count);
          step(x, g, m, v, update, count);
          value.write(from, x, count);
          mean.write(from, m, count);
          square.write(from, v, count);
        });
    context.packs().invalidate(values.address(), values.bytes());
  }

  private static void step(
      float[] x, float[] g, float[] m, float[] v, AdamUpdate update, int count) {
    float keep1 = (float) update.beta1();
    float take1 = (float) (1 - update.beta1());
    float keep2 = (float) update.beta2();
    float take2 = (float) (1 - update.beta2());
    float scale = (float) update.gradientScale();
    float epsilon = (float) update.epsilon();
    float kept = (float) (1 - update.learningRate() * update.weightDecay());
    float rate =
        (float) (update.learningRate() / (1 - Math.pow(update.beta1(), (double) update.step())));
    float root = (float) Math.sqrt(1 / (1 - Math.pow(update.beta2(), (double) update.step())));
    for (int i = 0; i < count; i++) {
      float gradient = scale * g[i];
      m[i] = keep1 * m[i] + take1 * gradient;
      v[i] = keep2 * v[i] + take2 * gradient * gradient;
      float deviation = (float) Math.sqrt(v[i]) * root;
      x[i] = x[i] * kept - rate * m[i] / (deviation + epsilon);
    }
  }
}
