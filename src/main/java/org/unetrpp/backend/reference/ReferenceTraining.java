package org.unetrpp.backend.reference;

import static org.unetrpp.backend.reference.ReferenceBackend.read;
import static org.unetrpp.backend.reference.ReferenceBackend.rowsOf;
import static org.unetrpp.backend.reference.ReferenceBackend.write;
import static org.unetrpp.backend.reference.ReferenceBackend.writeRows;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.AdamUpdate;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.DropoutMask;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.LossSums;
import org.unetrpp.backend.LossWeights;
import org.unetrpp.backend.MatrixView;
import org.unetrpp.backend.SgdUpdate;
import org.unetrpp.backend.TrainingPrimitives;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/** What training needs, as its definitions, in double precision and one thread. */
final class ReferenceTraining implements TrainingPrimitives {
  @Override
  public void convolutionBackwardData(
      Buffer dy, Buffer weight, Buffer dx, Grid grid, Convolution shape) {
    double[] weights = read(weight);
    double[] outputs = read(dy);
    double[] inputs = new double[Math.toIntExact(dx.elements())];
    int ins = shape.inChannels();
    int outs = shape.outChannels();
    int taps = Math.toIntExact(shape.kernel().voxels());
    forEachTap(
        grid,
        shape,
        (x, y, tap) -> {
          for (int o = 0; o < outs; o++) {
            double gradient = outputs[y * outs + o];
            for (int i = 0; i < ins; i++) {
              inputs[x * ins + i] += weights[(o * ins + i) * taps + tap] * gradient;
            }
          }
        });
    write(inputs, dx);
  }

  @Override
  public void convolutionBackwardWeights(
      Buffer x, Buffer dy, Buffer dweight, @Nullable Buffer dbias, Grid grid, Convolution shape) {
    double[] inputs = read(x);
    double[] outputs = read(dy);
    double[] weights = read(dweight);
    int ins = shape.inChannels();
    int outs = shape.outChannels();
    int taps = Math.toIntExact(shape.kernel().voxels());
    forEachTap(
        grid,
        shape,
        (from, to, tap) -> {
          for (int o = 0; o < outs; o++) {
            double gradient = outputs[to * outs + o];
            for (int i = 0; i < ins; i++) {
              weights[(o * ins + i) * taps + tap] += inputs[from * ins + i] * gradient;
            }
          }
        });
    write(weights, dweight);
    if (dbias != null) {
      addColumnSums(MatrixView.of(dy, shape.outChannels()), dbias);
    }
  }

  /** Voxels of input and output that one tap of a kernel connects. */
  @FunctionalInterface
  private interface Tap {
    void visit(int x, int y, int tap);
  }

  private static void forEachTap(Grid grid, Convolution shape, Tap visitor) {
    Extents in = grid.extents();
    Extents out = shape.output(in);
    int taps = Math.toIntExact(shape.kernel().voxels());
    int places = Math.toIntExact(out.voxels());
    for (int place = 0; place < grid.batch() * places; place++) {
      for (int tap = 0; tap < taps; tap++) {
        int source = source(place % places, tap, in, out, shape);
        if (source >= 0) {
          visitor.visit(place / places * grid.tokens() + source, place, tap);
        }
      }
    }
  }

  /** The voxel that a tap reads for an output voxel, or -1 in the padding. */
  private static int source(int place, int tap, Extents in, Extents out, Convolution shape) {
    int[] at = unravel(place, out);
    int[] offset = unravel(tap, shape.kernel());
    int voxel = 0;
    for (int axis = 0; axis < 3; axis++) {
      int position =
          at[axis] * shape.stride().along(axis) - shape.padding().along(axis) + offset[axis];
      if (position < 0 || position >= in.along(axis)) {
        return -1;
      }
      voxel = voxel * in.along(axis) + position;
    }
    return voxel;
  }

  private static int[] unravel(int index, Extents extents) {
    int width = extents.width();
    int height = extents.height();
    return new int[] {index / width / height, index / width % height, index % width};
  }

  @Override
  public void transposedConvolutionBackwardData(
      Buffer dy, Buffer weight, Buffer dx, Grid grid, Convolution shape) {
    double[] weights = read(weight);
    double[] outputs = read(dy);
    double[] inputs = new double[Math.toIntExact(dx.elements())];
    int ins = shape.inChannels();
    int outs = shape.outChannels();
    int taps = Math.toIntExact(shape.kernel().voxels());
    forEachSpread(
        grid,
        shape,
        (x, y, tap) -> {
          for (int i = 0; i < ins; i++) {
            for (int o = 0; o < outs; o++) {
              inputs[x * ins + i] += weights[(i * outs + o) * taps + tap] * outputs[y * outs + o];
            }
          }
        });
    write(inputs, dx);
  }

  @Override
  public void transposedConvolutionBackwardWeights(
      Buffer x, Buffer dy, Buffer dweight, Grid grid, Convolution shape) {
    double[] inputs = read(x);
    double[] outputs = read(dy);
    double[] weights = read(dweight);
    int ins = shape.inChannels();
    int outs = shape.outChannels();
    int taps = Math.toIntExact(shape.kernel().voxels());
    forEachSpread(
        grid,
        shape,
        (from, to, tap) -> {
          for (int i = 0; i < ins; i++) {
            for (int o = 0; o < outs; o++) {
              weights[(i * outs + o) * taps + tap] +=
                  inputs[from * ins + i] * outputs[to * outs + o];
            }
          }
        });
    write(weights, dweight);
  }

  private static void forEachSpread(Grid grid, Convolution shape, Tap visitor) {
    Extents in = grid.extents();
    Extents kernel = shape.kernel();
    Extents out = in.times(kernel);
    int taps = Math.toIntExact(kernel.voxels());
    for (int voxel = 0; voxel < grid.rows(); voxel++) {
      int[] at = unravel(voxel % grid.tokens(), in);
      for (int tap = 0; tap < taps; tap++) {
        int[] offset = unravel(tap, kernel);
        int to = voxel / grid.tokens();
        for (int axis = 0; axis < 3; axis++) {
          to = to * out.along(axis) + at[axis] * kernel.along(axis) + offset[axis];
        }
        visitor.visit(voxel, to, tap);
      }
    }
  }

  @Override
  public void addColumnSums(MatrixView dy, Buffer dbias) {
    double[] sums = read(dbias);
    for (double[] row : rowsOf(dy)) {
      for (int column = 0; column < row.length; column++) {
        sums[column] += row[column];
      }
    }
    write(sums, dbias);
  }

  @Override
  public void addRepeats(Buffer dy, Buffer sum) {
    double[] sums = read(sum);
    double[] values = read(dy);
    for (int i = 0; i < values.length; i++) {
      sums[i % sums.length] += values[i];
    }
    write(sums, sum);
  }

  @Override
  public void layerNormBackward(
      Buffer dy,
      Buffer x,
      Buffer gamma,
      Buffer dx,
      Buffer dgamma,
      Buffer dbeta,
      int channels,
      double epsilon) {
    Group[] groups = new Group[Math.toIntExact(x.elements() / channels)];
    Arrays.setAll(groups, row -> new Group(row * channels, 1, channels, channels));
    normBackward(dy, x, gamma, dx, dgamma, dbeta, channels, epsilon, groups);
  }

  @Override
  public void groupNormBackward(
      Buffer dy,
      Buffer x,
      @Nullable Buffer gamma,
      Buffer dx,
      @Nullable Buffer dgamma,
      @Nullable Buffer dbeta,
      Grid grid,
      int channels,
      int groups,
      double epsilon) {
    int tokens = grid.tokens();
    int width = channels / groups;
    Group[] all = new Group[grid.batch() * groups];
    Arrays.setAll(
        all,
        i ->
            new Group(
                i / groups * tokens * channels + i % groups * width, tokens, width, channels));
    normBackward(dy, x, gamma, dx, dgamma, dbeta, channels, epsilon, all);
  }

  /** Values that are normalized together: {@code rows} runs of {@code width}, a stride apart. */
  private record Group(int first, int rows, int width, int stride) {
    int size() {
      return rows * width;
    }

    int index(int i) {
      return first + i / width * stride + i % width;
    }
  }

  /**
   * With {@code h = (x - mean) rstd} and {@code g = gamma dy}: {@code dx = rstd (g - mean(g) - h
   * mean(g h))}, means over the group.
   */
  private static void normBackward(
      Buffer dy,
      Buffer x,
      @Nullable Buffer gamma,
      Buffer dx,
      @Nullable Buffer dgamma,
      @Nullable Buffer dbeta,
      int channels,
      double epsilon,
      Group[] groups) {
    double[] values = read(x);
    double[] gradients = read(dy);
    double[] result = new double[values.length];
    double[] scale = gamma == null ? ones(channels) : read(gamma);
    double[] dscale = dgamma == null ? new double[channels] : read(dgamma);
    double[] dshift = dbeta == null ? new double[channels] : read(dbeta);
    for (Group group : groups) {
      double mean = 0;
      for (int i = 0; i < group.size(); i++) {
        mean += values[group.index(i)] / group.size();
      }
      double variance = 0;
      for (int i = 0; i < group.size(); i++) {
        variance += Math.pow(values[group.index(i)] - mean, 2) / group.size();
      }
      double rstd = 1 / Math.sqrt(variance + epsilon);
      double meanG = 0;
      double meanGh = 0;
      for (int i = 0; i < group.size(); i++) {
        int at = group.index(i);
        double h = (values[at] - mean) * rstd;
        dscale[at % channels] += gradients[at] * h;
        dshift[at % channels] += gradients[at];
        meanG += gradients[at] * scale[at % channels] / group.size();
        meanGh += gradients[at] * scale[at % channels] * h / group.size();
      }
      for (int i = 0; i < group.size(); i++) {
        int at = group.index(i);
        double h = (values[at] - mean) * rstd;
        result[at] = rstd * (gradients[at] * scale[at % channels] - meanG - h * meanGh);
      }
    }
    write(result, dx);
    if (dgamma != null) {
      write(dscale, dgamma);
    }
    if (dbeta != null) {
      write(dshift, dbeta);
    }
  }

  @Override
  public void updateStatistics(Buffer x, ChannelNorm.Batch norm, int channels, double momentum) {
    double[] values = read(x);
    double[] means = read(norm.mean());
    double[] variances = read(norm.variance());
    int rows = values.length / channels;
    for (int c = 0; c < channels; c++) {
      double mean = 0;
      for (int row = 0; row < rows; row++) {
        mean += values[row * channels + c] / rows;
      }
      double variance = 0;
      for (int row = 0; row < rows; row++) {
        variance += Math.pow(values[row * channels + c] - mean, 2) / (rows - 1);
      }
      means[c] += momentum * (mean - means[c]);
      variances[c] += momentum * (variance - variances[c]);
    }
    write(means, norm.mean());
    write(variances, norm.variance());
  }

  @Override
  public void leakyReluBackward(Buffer dy, Buffer y, Buffer dx, double slope) {
    double[] outputs = read(y);
    double[] gradients = read(dy);
    for (int i = 0; i < gradients.length; i++) {
      gradients[i] *= outputs[i] > 0 ? 1 : slope;
    }
    write(gradients, dx);
  }

  @Override
  public void softmaxBackward(Buffer dy, Buffer y, Buffer dx, int columns) {
    double[] outputs = read(y);
    double[] gradients = read(dy);
    for (int start = 0; start < outputs.length; start += columns) {
      double sum = 0;
      for (int i = start; i < start + columns; i++) {
        sum += gradients[i] * outputs[i];
      }
      for (int i = start; i < start + columns; i++) {
        gradients[i] = outputs[i] * (gradients[i] - sum);
      }
    }
    write(gradients, dx);
  }

  @Override
  public void addScaledBackward(
      Buffer dy, Buffer gamma, Buffer b, Buffer db, Buffer dgamma, int channels) {
    double[] gradients = read(dy);
    double[] terms = read(b);
    double[] scale = read(gamma);
    double[] dscale = read(dgamma);
    for (int i = 0; i < gradients.length; i++) {
      dscale[i % channels] += gradients[i] * terms[i];
      gradients[i] *= scale[i % channels];
    }
    write(dscale, dgamma);
    write(gradients, db);
  }

  @Override
  public void scaleRunsBackward(Buffer dy, Buffer x, Buffer scales, Buffer dscales, long run) {
    double[] gradients = read(dy);
    double[] values = read(x);
    double[] scale = read(scales);
    double[] dscale = read(dscales);
    for (int i = 0; i < gradients.length; i++) {
      int at = Math.toIntExact(i / run);
      dscale[at] += gradients[i] * values[i];
      gradients[i] *= scale[at];
    }
    write(dscale, dscales);
    write(gradients, dy);
  }

  @Override
  public void normalizeColumns(MatrixView x, Buffer norms) {
    double[][] rows = rowsOf(x);
    double[] divisors = new double[x.columns()];
    for (int column = 0; column < divisors.length; column++) {
      double squares = 0;
      for (double[] row : rows) {
        squares += row[column] * row[column];
      }
      divisors[column] = Math.max(Math.sqrt(squares), LEAST_NORM);
      for (double[] row : rows) {
        row[column] /= divisors[column];
      }
    }
    write(divisors, norms);
    writeRows(rows, x);
  }

  @Override
  public void normalizeColumnsBackward(MatrixView dy, MatrixView y, Buffer norms) {
    double[][] gradients = rowsOf(dy);
    double[][] outputs = rowsOf(y);
    double[] divisors = read(norms);
    for (int column = 0; column < divisors.length; column++) {
      double product = 0;
      for (int row = 0; row < outputs.length; row++) {
        product += outputs[row][column] * gradients[row][column];
      }
      double radial = divisors[column] > LEAST_NORM ? product : 0;
      for (int row = 0; row < outputs.length; row++) {
        gradients[row][column] =
            (gradients[row][column] - radial * outputs[row][column]) / divisors[column];
      }
    }
    writeRows(gradients, dy);
  }

  /** Columns shorter than this are divided by it, and so are linear there. */
  private static final double LEAST_NORM = 1e-12;

  @Override
  public void dropout(Buffer x, Buffer y, Dropout dropout, long first) {
    double[] values = read(x);
    float[] factors = new float[values.length];
    new DropoutMask(dropout).factors(first, factors, factors.length);
    double scale = 1 / (1 - dropout.probability());
    for (int i = 0; i < values.length; i++) {
      values[i] *= factors[i] == 0 ? 0 : scale;
    }
    write(values, y);
  }

  @Override
  public void channelDropout(Buffer x, Buffer y, Dropout dropout, Grid grid, int channels) {
    double[] values = read(x);
    float[] factors = new float[grid.batch() * channels];
    new DropoutMask(dropout).factors(0, factors, factors.length);
    double scale = 1 / (1 - dropout.probability());
    int item = grid.tokens() * channels;
    for (int i = 0; i < values.length; i++) {
      values[i] *= factors[i / item * channels + i % channels] == 0 ? 0 : scale;
    }
    write(values, y);
  }

  @Override
  public LossSums lossSums(
      Buffer logits, Buffer target, Buffer probabilities, int batch, int classes) {
    double[] values = read(logits);
    double[] labels = read(target);
    int voxels = labels.length / batch;
    double[] overlap = new double[batch * classes];
    double[] predicted = new double[batch * classes];
    double[] counts = new double[batch * classes];
    double crossEntropy = 0;
    for (int item = 0; item < batch; item++) {
      for (int voxel = 0; voxel < voxels; voxel++) {
        int label = (int) labels[item * voxels + voxel];
        double logSum = logSumExp(values, item * classes * voxels + voxel, classes, voxels);
        for (int k = 0; k < classes; k++) {
          int at = (item * classes + k) * voxels + voxel;
          double logarithm = values[at] - logSum;
          double p = Math.exp(logarithm);
          values[at] = p;
          predicted[item * classes + k] += p;
          if (k == label) {
            overlap[item * classes + k] += p;
            counts[item * classes + k]++;
            crossEntropy -= logarithm;
          }
        }
      }
    }
    write(values, probabilities);
    return new LossSums(overlap, predicted, counts, crossEntropy);
  }

  private static double logSumExp(double[] values, int first, int count, int stride) {
    double max = Double.NEGATIVE_INFINITY;
    for (int k = 0; k < count; k++) {
      max = Math.max(max, values[first + k * stride]);
    }
    double sum = 0;
    for (int k = 0; k < count; k++) {
      sum += Math.exp(values[first + k * stride] - max);
    }
    return max + Math.log(sum);
  }

  @Override
  public void lossGradient(
      Buffer probabilities,
      Buffer target,
      LossWeights weights,
      Buffer dlogits,
      int batch,
      int classes) {
    double[] p = read(probabilities);
    double[] labels = read(target);
    double[] result = new double[p.length];
    int voxels = labels.length / batch;
    for (int item = 0; item < batch; item++) {
      for (int voxel = 0; voxel < voxels; voxel++) {
        int label = (int) labels[item * voxels + voxel];
        double sum = 0;
        for (int k = 0; k < classes; k++) {
          int at = (item * classes + k) * voxels + voxel;
          double g = weights.predicted()[item * classes + k];
          g += k == label ? weights.overlap()[item * classes + k] : 0;
          result[at] = g;
          sum += g * p[at];
        }
        for (int k = 0; k < classes; k++) {
          int at = (item * classes + k) * voxels + voxel;
          result[at] =
              p[at] * (result[at] - sum) + weights.crossEntropy() * (p[at] - (k == label ? 1 : 0));
        }
      }
    }
    write(result, dlogits);
  }

  @Override
  public void copy(Buffer x, Buffer y) {
    write(read(x), y);
  }

  @Override
  public void clear(Buffer x) {
    write(new double[Math.toIntExact(x.elements())], x);
  }

  @Override
  public double sumOfSquares(Buffer x) {
    return Arrays.stream(read(x)).map(value -> value * value).sum();
  }

  @Override
  public void sgd(Buffer values, Buffer gradients, Buffer velocity, SgdUpdate update) {
    double[] theta = read(values);
    double[] g = read(gradients);
    double[] v = read(velocity);
    for (int i = 0; i < theta.length; i++) {
      double gradient = update.gradientScale() * g[i] + update.weightDecay() * theta[i];
      v[i] = update.momentum() * v[i] + gradient;
      theta[i] -= update.learningRate() * (gradient + update.momentum() * v[i]);
    }
    write(theta, values);
    write(v, velocity);
  }

  @Override
  public void adamW(Buffer values, Buffer gradients, Buffer first, Buffer second, AdamUpdate u) {
    double[] theta = read(values);
    double[] g = read(gradients);
    double[] m = read(first);
    double[] v = read(second);
    double correction1 = 1 - Math.pow(u.beta1(), (double) u.step());
    double correction2 = 1 - Math.pow(u.beta2(), (double) u.step());
    for (int i = 0; i < theta.length; i++) {
      double gradient = u.gradientScale() * g[i];
      m[i] = u.beta1() * m[i] + (1 - u.beta1()) * gradient;
      v[i] = u.beta2() * v[i] + (1 - u.beta2()) * gradient * gradient;
      double step = m[i] / correction1 / (Math.sqrt(v[i] / correction2) + u.epsilon());
      theta[i] -= u.learningRate() * (u.weightDecay() * theta[i] + step);
    }
    write(theta, values);
    write(m, first);
    write(v, second);
  }

  private static double[] ones(int length) {
    double[] values = new double[length];
    Arrays.fill(values, 1);
    return values;
  }
}
