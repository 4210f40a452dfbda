package org.unetrpp.backend.cpu;

import java.util.Objects;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PairedAttentionParameters.Concatenation;
import org.unetrpp.memory.Buffer;

/** Gradients of the smaller parameters of paired attention, in double, over all items. */
final class AttentionSums {
  final double[] qkvv;
  final double[] temperature;
  final double[] temperature2;
  final double[] keyBias;
  final double[] valueBias;
  final double[] gamma;
  final double[] normGamma;
  final double[] normBeta;

  /** Of the output layers, side by side: spatial, channel. */
  final double[] outputWeight;

  final double[] outputBias;

  AttentionSums(PairedAttentionParameters p) {
    int channels = p.channels();
    qkvv = new double[4 * channels * channels];
    temperature = new double[p.heads()];
    temperature2 = new double[p.heads()];
    keyBias = new double[p.projected()];
    valueBias = new double[p.projected()];
    gamma = new double[channels];
    normGamma = new double[channels];
    normBeta = new double[channels];
    outputWeight = new double[channels * channels];
    outputBias = new double[channels];
  }

  /** Adds all to the gradients of the parameters. */
  void addTo(PairedAttentionParameters gradients) {
    Sums.addTo(gradients.qkvv(), qkvv);
    Sums.addTo(gradients.temperature(), temperature);
    Sums.addTo(gradients.temperature2(), temperature2);
    Sums.addTo(gradients.gamma(), gamma);
    Sums.addTo(gradients.normGamma(), normGamma);
    Sums.addTo(gradients.normBeta(), normBeta);
    Buffer keys = gradients.keys().bias();
    if (keys != null) {
      Sums.addTo(keys, keyBias);
    }
    Buffer values = gradients.values().bias();
    if (values != null) {
      Sums.addTo(values, valueBias);
    }
    if (gradients.fusion() != null) {
      Concatenation to = Objects.requireNonNull(gradients.fusion());
      addHalf(to.spatialWeight(), outputWeight, 0);
      addHalf(to.channelWeight(), outputWeight, 1);
      addHalf(to.spatialBias(), outputBias, 0);
      addHalf(to.channelBias(), outputBias, 1);
    }
  }

  private static void addHalf(Buffer to, double[] sums, int which) {
    int half = sums.length / 2;
    double[] part = new double[half];
    System.arraycopy(sums, which * half, part, 0, half);
    Sums.addTo(to, part);
  }
}
