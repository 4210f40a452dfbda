package org.unetrpp.bench.peers;

import com.google.gson.Gson;
import com.google.gson.JsonParseException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * What a training step without dropout gives in float64.
 *
 * @param batch patches
 * @param loss before the step
 * @param gradientNorm Euclidean norm of all gradients before clipping
 */
record ExpectedStep(int batch, double loss, double gradientNorm) {
  /**
   * Reads what {@code export.py --training} wrote.
   *
   * @throws IllegalArgumentException if it is of another batch, or no such file
   */
  static ExpectedStep read(Path path, int batch) {
    try {
      ExpectedStep step = new Gson().fromJson(Files.readString(path), ExpectedStep.class);
      if (step == null
          || step.batch != batch
          || !Double.isFinite(step.loss)
          || !(step.gradientNorm > 0)) {
        throw new IllegalArgumentException(
            "%s: %s, expected a step with a batch of %d".formatted(path, step, batch));
      }
      return step;
    } catch (IOException e) {
      throw new UncheckedIOException(path + ": cannot be read", e);
    } catch (JsonParseException e) {
      throw new IllegalArgumentException(path + ": no training step: " + e.getMessage(), e);
    }
  }

  /**
   * How far another step is from this one, each figure relative to itself.
   *
   * @throws IllegalArgumentException if a figure is not finite
   */
  NpyFile.Deviation deviation(double otherLoss, double otherNorm) {
    double ofLoss = Math.abs(otherLoss - loss) / Math.abs(loss);
    double ofNorm = Math.abs(otherNorm - gradientNorm) / gradientNorm;
    if (!Double.isFinite(ofLoss + ofNorm)) {
      throw new IllegalArgumentException(
          "loss %s and gradient norm %s, expected %s and %s"
              .formatted(otherLoss, otherNorm, loss, gradientNorm));
    }
    return new NpyFile.Deviation(
        Math.max(ofLoss, ofNorm), Math.sqrt((ofLoss * ofLoss + ofNorm * ofNorm) / 2));
  }
}
