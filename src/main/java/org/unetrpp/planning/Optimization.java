package org.unetrpp.planning;

/**
 * How a network's parameters are updated.
 *
 * @param method which update
 * @param learningRate of the first epoch; it falls as {@code (1 - epoch / epochs)^0.9}
 * @param momentum of {@link Method#SGD}
 * @param weightDecay added to gradients by SGD, taken from the values by AdamW
 * @param maxGradientNorm gradients longer than this are scaled down to it
 */
public record Optimization(
    Method method,
    double learningRate,
    double momentum,
    double weightDecay,
    double maxGradientNorm) {
  /** The published recipe. */
  public static final Optimization PUBLISHED = new Optimization(Method.SGD, 0.01, 0.99, 3e-5, 12);

  /** Checks that the numbers are of use. */
  public Optimization {
    require("learningRate", learningRate, learningRate > 0, "above 0");
    require("momentum", momentum, momentum >= 0 && momentum < 1, "0 to below 1");
    require("weightDecay", weightDecay, weightDecay >= 0, "0 or more");
    require("maxGradientNorm", maxGradientNorm, maxGradientNorm > 0, "above 0");
  }

  private static void require(String name, double value, boolean holds, String expected) {
    if (!holds || !Double.isFinite(value)) {
      throw new IllegalArgumentException(name + " is " + value + ", expected " + expected);
    }
  }

  /** The update rules. */
  public enum Method {
    /** Stochastic gradient descent with Nesterov's momentum. */
    SGD,
    /** Adam with decoupled weight decay (Loshchilov and Hutter 2019). */
    ADAMW
  }
}
