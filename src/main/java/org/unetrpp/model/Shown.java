package org.unetrpp.model;

import org.unetrpp.tensor.Tensor;

/** Shows what a box gives to the backend's probe. */
final class Shown {
  private Shown() {}

  /** Channels-last activations. */
  static void show(String name, Tensor y) {
    int channels = y.shape().extent(-1);
    y.backend().probe().output(name, y.buffer(), y.shape().elements() / channels, channels);
  }

  /** Logits with the classes first: a row for each class of each item. */
  static void showLogits(String name, Tensor y) {
    long rows = (long) y.shape().extent(0) * y.shape().extent(1);
    y.backend()
        .probe()
        .output(name, y.buffer(), rows, Math.toIntExact(y.shape().elements() / rows));
  }
}
