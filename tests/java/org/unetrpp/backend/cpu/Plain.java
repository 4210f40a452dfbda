package org.unetrpp.backend.cpu;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.grid.Extents;

/** Formulas as they are written, in double. */
final class Plain {
  private Plain() {}

  static double[] convolution(
      float[] x, float[] weight, float @Nullable [] bias, Grid grid, Convolution shape) {
    Extents in = grid.extents();
    Extents out = shape.output(in);
    Extents kernel = shape.kernel();
    double[] y = new double[Math.toIntExact(grid.batch() * out.voxels() * shape.outChannels())];
    int at = 0;
    for (int item = 0; item < grid.batch(); item++) {
      for (int d = 0; d < out.depth(); d++) {
        for (int h = 0; h < out.height(); h++) {
          for (int w = 0; w < out.width(); w++) {
            for (int o = 0; o < shape.outChannels(); o++) {
              double sum = bias == null ? 0 : bias[o];
              for (int c = 0; c < shape.inChannels(); c++) {
                for (int kd = 0; kd < kernel.depth(); kd++) {
                  for (int kh = 0; kh < kernel.height(); kh++) {
                    for (int kw = 0; kw < kernel.width(); kw++) {
                      int id = d * shape.stride().depth() + kd - shape.padding().depth();
                      int ih = h * shape.stride().height() + kh - shape.padding().height();
                      int iw = w * shape.stride().width() + kw - shape.padding().width();
                      if (inside(id, in.depth())
                          && inside(ih, in.height())
                          && inside(iw, in.width())) {
                        int from =
                            (((item * in.depth() + id) * in.height() + ih) * in.width() + iw)
                                    * shape.inChannels()
                                + c;
                        int of =
                            (((o * shape.inChannels() + c) * kernel.depth() + kd) * kernel.height()
                                        + kh)
                                    * kernel.width()
                                + kw;
                        sum += (double) x[from] * weight[of];
                      }
                    }
                  }
                }
              }
              y[at++] = sum;
            }
          }
        }
      }
    }
    return y;
  }

  private static boolean inside(int index, int extent) {
    return index >= 0 && index < extent;
  }

  static double[] transposedConvolution(float[] x, float[] weight, Grid grid, Convolution shape) {
    Extents in = grid.extents();
    Extents kernel = shape.kernel();
    Extents out = in.times(kernel);
    int channels = shape.outChannels();
    double[] y = new double[Math.toIntExact(grid.batch() * out.voxels() * channels)];
    for (int i = 0; i < y.length; i++) {
      int o = i % channels;
      int voxel = i / channels;
      int w = voxel % out.width();
      int h = voxel / out.width() % out.height();
      int plane = voxel / out.width() / out.height();
      int d = plane % out.depth();
      int item = plane / out.depth();
      int place =
          ((item * in.depth() + d / kernel.depth()) * in.height() + h / kernel.height())
                  * in.width()
              + w / kernel.width();
      int tap =
          (d % kernel.depth() * kernel.height() + h % kernel.height()) * kernel.width()
              + w % kernel.width();
      for (int c = 0; c < shape.inChannels(); c++) {
        y[i] +=
            (double) x[place * shape.inChannels() + c]
                * weight[(c * channels + o) * (int) kernel.voxels() + tap];
      }
    }
    return y;
  }

  static double[] layerNorm(float[] x, float[] gamma, float[] beta, int channels, double epsilon) {
    double[] y = new double[x.length];
    for (int first = 0; first < x.length; first += channels) {
      double mean = 0;
      double variance = 0;
      for (int c = 0; c < channels; c++) {
        mean += x[first + c] / (double) channels;
      }
      for (int c = 0; c < channels; c++) {
        variance += (x[first + c] - mean) * (x[first + c] - mean) / channels;
      }
      for (int c = 0; c < channels; c++) {
        y[first + c] = (x[first + c] - mean) / Math.sqrt(variance + epsilon) * gamma[c] + beta[c];
      }
    }
    return y;
  }

  static double[] groupNorm(
      float[] x,
      float @Nullable [] gamma,
      float @Nullable [] beta,
      Grid grid,
      int channels,
      int groups,
      double epsilon) {
    double[] y = new double[x.length];
    int item = grid.tokens() * channels;
    int size = channels / groups;
    double count = (double) grid.tokens() * size;
    double[] mean = new double[grid.batch() * groups];
    double[] variance = new double[mean.length];
    for (int i = 0; i < x.length; i++) {
      mean[i / item * groups + i % channels / size] += x[i] / count;
    }
    for (int i = 0; i < x.length; i++) {
      int group = i / item * groups + i % channels / size;
      variance[group] += (x[i] - mean[group]) * (x[i] - mean[group]) / count;
    }
    for (int i = 0; i < x.length; i++) {
      int group = i / item * groups + i % channels / size;
      int c = i % channels;
      y[i] =
          (x[i] - mean[group])
                  / Math.sqrt(variance[group] + epsilon)
                  * (gamma == null ? 1 : gamma[c])
              + (beta == null ? 0 : beta[c]);
    }
    return y;
  }

  static double[] softmax(float[] x, int columns) {
    double[] y = new double[x.length];
    for (int first = 0; first < x.length; first += columns) {
      double largest = Double.NEGATIVE_INFINITY;
      for (int i = first; i < first + columns; i++) {
        largest = Math.max(largest, x[i]);
      }
      double sum = 0;
      for (int i = first; i < first + columns; i++) {
        y[i] = Math.exp(x[i] - largest);
        sum += y[i];
      }
      for (int i = first; i < first + columns; i++) {
        y[i] /= sum;
      }
    }
    return y;
  }
}
