package org.unetrpp.backend.cpu;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.MatrixView;
import org.unetrpp.memory.Buffer;

/** Columns of matrices divided by their Euclidean norms. */
final class Columns {
  private static final double LEAST_NORM = 1e-12;

  private final CpuContext context;

  Columns(CpuContext context) {
    this.context = context;
  }

  /**
   * Divides each column by the larger of its norm and 1e-12.
   *
   * @param norms where to keep what they are divided by, or none
   */
  void normalize(MatrixView x, @Nullable Buffer norms) {
    int columns = x.columns();
    double[] squares = products(x, x);
    float[] divisors = new float[columns];
    float[] scale = new float[columns];
    for (int column = 0; column < columns; column++) {
      double norm = Math.max(Math.sqrt(squares[column]), LEAST_NORM);
      divisors[column] = (float) norm;
      scale[column] = (float) (1 / norm);
    }
    if (norms != null) {
      Values.of(norms).write(0, divisors, columns);
    }
    Values values = Values.of(x.buffer());
    context.forEachRow(
        x,
        (_, first, worker) -> {
          float[] row = worker.array(0, columns);
          values.read(first, row, columns);
          Loops.scale(row, scale, columns);
          values.write(first, row, columns);
        });
  }

  /**
   * {@code dy = (dy - y (y dy)) / norm} for each column; without the part along {@code y} where the
   * norm was too small to be divided by.
   */
  void normalizeGradient(MatrixView dy, MatrixView y, Buffer norms) {
    int columns = dy.columns();
    float[] divisors = Values.of(norms).toArray();
    double[] products = products(dy, y);
    float[] along = new float[columns];
    float[] scale = new float[columns];
    for (int column = 0; column < columns; column++) {
      boolean clamped = divisors[column] <= (float) LEAST_NORM;
      along[column] = clamped ? 0 : (float) products[column];
      scale[column] = 1 / divisors[column];
    }
    Values gradient = Values.of(dy.buffer());
    Values result = Values.of(y.buffer());
    long step = y.rowStride();
    context.forEachRow(
        dy,
        (_, first, worker) -> {
          float[] from = worker.array(0, columns);
          float[] row = worker.array(1, columns);
          gradient.read(first, from, columns);
          result.read(y.offset() + (first - dy.offset()) / dy.rowStride() * step, row, columns);
          Loops.project(row, from, along, columns);
          Loops.scale(row, scale, columns);
          gradient.write(first, row, columns);
        });
  }

  /** The inner product of each column with the same column of the other matrix. */
  private double[] products(MatrixView a, MatrixView b) {
    Values left = Values.of(a.buffer());
    Values right = Values.of(b.buffer());
    int columns = a.columns();
    double[][] parts = new double[CpuContext.tasks(a)][columns];
    context.forEachRow(
        a,
        (task, first, worker) -> {
          float[] x = worker.array(0, columns);
          float[] y = worker.array(1, columns);
          left.read(first, x, columns);
          long row = (first - a.offset()) / a.rowStride();
          right.read(b.offset() + row * b.rowStride(), y, columns);
          Loops.addProducts(x, y, parts[task], columns);
        });
    return Sums.added(parts, columns);
  }
}
