package org.unetrpp.planning;

/**
 * How long a network is trained.
 *
 * @param epochs number of epochs
 * @param iterations training steps of an epoch
 * @param validationIterations validation batches of an epoch
 * @param batchSize patches of a batch
 * @param foregroundShare share of a batch's patches that are sure to show foreground
 * @param seed of all that is random
 */
public record Schedule(
    int epochs,
    int iterations,
    int validationIterations,
    int batchSize,
    double foregroundShare,
    long seed) {
  /** Checks that there is something to do. */
  public Schedule {
    requirePositive("epochs", epochs);
    requirePositive("iterations", iterations);
    requirePositive("validationIterations", validationIterations);
    requirePositive("batchSize", batchSize);
    if (!(foregroundShare >= 0 && foregroundShare <= 1)) {
      throw new IllegalArgumentException(
          "foregroundShare is " + foregroundShare + ", expected 0 to 1");
    }
  }

  /**
   * The same with what a person decides instead; validation keeps its proportion to training, but
   * for a batch at least.
   */
  public Schedule with(PlanOptions options) {
    int steps = options.iterations().orElse(iterations);
    long validation = Math.max(1, (long) steps * validationIterations / iterations);
    return new Schedule(
        options.epochs().orElse(epochs),
        steps,
        (int) validation,
        options.batchSize().orElse(batchSize),
        foregroundShare,
        seed);
  }

  private static void requirePositive(String name, int value) {
    if (value < 1) {
      throw new IllegalArgumentException(name + " is " + value + ", expected 1 or more");
    }
  }
}
