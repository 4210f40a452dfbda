package org.unetrpp.backend.cpu;

import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.cpu.OneDnn.Operand;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * The 1x1x1 convolution of a residual block's input, W x, with the instance normalization behind
 * it, of one item. Both are linear once the statistics are known, and these follow from mean m and
 * covariance of the input, so that neither the convolution's result nor its gradient is ever in
 * memory. With D = dy^T x and s the column sums of dy, n rows, and rstd of each output o:
 *
 * <pre>
 *   dgamma_o = rstd_o W_o (D_o - s_o m)                     as if there were a scale
 *   dW_o = rstd_o (D_o - s_o m - dgamma_o rstd_o Cov W_o)
 *   dx = dy diag(rstd) W - (x - m) W^T diag(rstd^2 dgamma / n) W - (rstd s / n) W
 * </pre>
 */
final class TrainedShortcut {
  private final int in;
  private final int out;
  private final double[] weight;
  private final Comoments input;
  private final double[] rstd;
  private final float[] shift;

  /** W with the normalization in it, (Cout, Cin). */
  private final Buffer normalized;

  /**
   * In the innermost memory scope.
   *
   * @param weight (Cout, Cin)
   */
  TrainedShortcut(CpuBackend backend, Comoments input, double[] weight, int in, int out) {
    this.input = input;
    this.weight = weight;
    this.in = in;
    this.out = out;
    rstd = new double[out];
    shift = new float[out];
    float[] scaled = new float[in * out];
    for (int o = 0; o < out; o++) {
      rstd[o] = 1 / Math.sqrt(input.variance(weight, o * in) + ChannelNorm.EPSILON);
      shift[o] = (float) (-input.mean(weight, o * in) * rstd[o]);
      for (int c = 0; c < in; c++) {
        scaled[o * in + c] = (float) (weight[o * in + c] * rstd[o]);
      }
    }
    normalized = backend.scopes().allocate(DType.FLOAT32, scaled.length);
    Values.of(normalized).write(0, scaled, scaled.length);
  }

  /** What is added to each channel of {@link #apply}. */
  float[] shift() {
    return shift;
  }

  /** The normalized convolution of some rows, without its shift. */
  void apply(OneDnn oneDnn, long x, int rows, long result) {
    Operand weights = Operand.transposed(normalized.address(), in);
    oneDnn.sgemm(rows, out, in, Operand.plain(x, in), weights, result, out, false);
  }

  /**
   * Adds the gradient of the weights.
   *
   * @param products D, (Cout, Cin)
   * @param sums s
   * @param dweight (Cout, Cin)
   */
  void addWeightGradient(double[] products, double[] sums, double[] dweight) {
    double[] dgamma = dgamma(products, sums);
    for (int o = 0; o < out; o++) {
      for (int c = 0; c < in; c++) {
        double along = dgamma[o] * rstd[o] * input.product(weight, o * in, c) / input.count();
        dweight[o * in + c] += rstd[o] * (products[o * in + c] - sums[o] * input.mean(c) - along);
      }
    }
  }

  private double[] dgamma(double[] products, double[] sums) {
    double[] dgamma = new double[out];
    for (int o = 0; o < out; o++) {
      double sum = 0;
      for (int c = 0; c < in; c++) {
        sum += weight[o * in + c] * (products[o * in + c] - sums[o] * input.mean(c));
      }
      dgamma[o] = rstd[o] * sum;
    }
    return dgamma;
  }

  /**
   * What {@code dx += dy A + x B + c} takes.
   *
   * @param fromGradient A, (Cout, Cin)
   * @param fromInput B, (Cin, Cin)
   * @param constant c, (Cin)
   */
  record InputGradient(double[] fromGradient, double[] fromInput, double[] constant) {}

  /** The gradient of the input. */
  InputGradient inputGradient(double[] products, double[] sums) {
    double[] dgamma = dgamma(products, sums);
    double rows = input.count();
    double[] fromGradient = new double[out * in];
    double[] fromInput = new double[in * in];
    double[] constant = new double[in];
    for (int o = 0; o < out; o++) {
      double slope = rstd[o] * rstd[o] * dgamma[o] / rows;
      for (int c = 0; c < in; c++) {
        double own = weight[o * in + c];
        fromGradient[o * in + c] = rstd[o] * own;
        constant[c] -= rstd[o] * own * sums[o] / rows;
        for (int other = 0; other < in; other++) {
          fromInput[other * in + c] -= slope * own * weight[o * in + other];
        }
      }
    }
    for (int other = 0; other < in; other++) {
      for (int c = 0; c < in; c++) {
        constant[c] -= input.mean(other) * fromInput[other * in + c];
      }
    }
    return new InputGradient(fromGradient, fromInput, constant);
  }
}
