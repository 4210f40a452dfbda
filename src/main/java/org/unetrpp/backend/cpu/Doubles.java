package org.unetrpp.backend.cpu;

import java.util.Arrays;

/**
 * A small row-major matrix in double, for what attention makes once for all tokens.
 *
 * @see PairedAttention
 */
final class Doubles {
  private final int rows;
  private final int columns;
  private final double[] values;

  Doubles(int rows, int columns) {
    this(rows, columns, new double[rows * columns]);
  }

  private Doubles(int rows, int columns, double[] values) {
    this.rows = rows;
    this.columns = columns;
    this.values = values;
  }

  /** The matrix of {@code rows} rows that values hold from element {@code first} on. */
  static Doubles of(Values source, long first, int rows, int columns) {
    float[] floats = new float[rows * columns];
    source.read(first, floats, floats.length);
    double[] values = new double[floats.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = floats[i];
    }
    return new Doubles(rows, columns, values);
  }

  /** The matrix of {@code rows} rows that an array holds from element {@code first} on. */
  static Doubles of(double[] source, int first, int rows, int columns) {
    return new Doubles(rows, columns, Arrays.copyOfRange(source, first, first + rows * columns));
  }

  double get(int row, int column) {
    return values[row * columns + column];
  }

  void set(int row, int column, double value) {
    values[row * columns + column] = value;
  }

  /** Adds a value to every element of one column. */
  void addToColumn(int column, double value) {
    for (int row = 0; row < rows; row++) {
      values[row * columns + column] += value;
    }
  }

  /** Some rows and columns. */
  Doubles part(int firstRow, int rowCount, int firstColumn, int columnCount) {
    Doubles part = new Doubles(rowCount, columnCount);
    for (int row = 0; row < rowCount; row++) {
      System.arraycopy(
          values,
          (firstRow + row) * columns + firstColumn,
          part.values,
          row * columnCount,
          columnCount);
    }
    return part;
  }

  /** Adds another matrix at a place in this one. */
  void add(int firstRow, int firstColumn, Doubles part) {
    for (int row = 0; row < part.rows; row++) {
      addRow(
          values,
          (firstRow + row) * columns + firstColumn,
          1,
          part.values,
          row * part.columns,
          part.columns);
    }
  }

  Doubles transposed() {
    Doubles transposed = new Doubles(columns, rows);
    for (int row = 0; row < rows; row++) {
      for (int column = 0; column < columns; column++) {
        transposed.values[column * rows + row] = values[row * columns + column];
      }
    }
    return transposed;
  }

  /** The product of this and another matrix. */
  Doubles times(Doubles other) {
    Doubles product = new Doubles(rows, other.columns);
    for (int row = 0; row < rows; row++) {
      for (int inner = 0; inner < columns; inner++) {
        addRow(
            product.values,
            row * other.columns,
            values[row * columns + inner],
            other.values,
            inner * other.columns,
            other.columns);
      }
    }
    return product;
  }

  private static void addRow(
      double[] sum, int to, double factor, double[] row, int from, int count) {
    for (int i = 0; i < count; i++) {
      sum[to + i] += factor * row[from + i];
    }
  }

  /** The inner product of a row of this matrix and the same row of another. */
  double rowProduct(int row, Doubles other) {
    double sum = 0;
    for (int column = 0; column < columns; column++) {
      sum += get(row, column) * other.get(row, column);
    }
    return sum;
  }

  /** Multiplies a row. */
  void scaleRow(int row, double factor) {
    for (int column = 0; column < columns; column++) {
      values[row * columns + column] *= factor;
    }
  }

  /** Softmax of each row, in place. */
  void softmax() {
    for (int row = 0; row < rows; row++) {
      double largest = Double.NEGATIVE_INFINITY;
      for (int column = 0; column < columns; column++) {
        largest = Math.max(largest, get(row, column));
      }
      double sum = 0;
      for (int column = 0; column < columns; column++) {
        double value = Math.exp(get(row, column) - largest);
        set(row, column, value);
        sum += value;
      }
      scaleRow(row, 1 / sum);
    }
  }

  /** Stores the values, rounded, one row every {@code rowStride} elements from {@code first} on. */
  void store(Values destination, long first, long rowStride) {
    float[] line = new float[columns];
    for (int row = 0; row < rows; row++) {
      for (int column = 0; column < columns; column++) {
        line[column] = (float) get(row, column);
      }
      destination.write(first + row * rowStride, line, columns);
    }
  }
}
