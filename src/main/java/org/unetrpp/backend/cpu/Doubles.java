package org.unetrpp.backend.cpu;

import java.util.Arrays;

/**
 * A small matrix in double, for what attention makes once for all tokens. Each row is an array of
 * its own: loops that read and write at one index are compiled to vector instructions, loops with
 * offsets are not, because the arrays might be the same one.
 *
 * @see PairedAttention
 */
final class Doubles {
  private final int columns;
  private final double[][] rows;

  Doubles(int rows, int columns) {
    this.columns = columns;
    this.rows = new double[rows][columns];
  }

  /** The matrix of {@code rows} rows that values hold from element {@code first} on. */
  static Doubles of(Values source, long first, int rows, int columns) {
    Doubles matrix = new Doubles(rows, columns);
    float[] line = new float[columns];
    for (int row = 0; row < rows; row++) {
      source.read(first + (long) row * columns, line, columns);
      double[] to = matrix.rows[row];
      for (int column = 0; column < columns; column++) {
        to[column] = line[column];
      }
    }
    return matrix;
  }

  /** The matrix of {@code rows} rows that an array holds from element {@code first} on. */
  static Doubles of(double[] source, int first, int rows, int columns) {
    Doubles matrix = new Doubles(rows, columns);
    for (int row = 0; row < rows; row++) {
      System.arraycopy(source, first + row * columns, matrix.rows[row], 0, columns);
    }
    return matrix;
  }

  double get(int row, int column) {
    return rows[row][column];
  }

  void set(int row, int column, double value) {
    rows[row][column] = value;
  }

  /** Adds a value to every element of one column. */
  void addToColumn(int column, double value) {
    for (double[] row : rows) {
      row[column] += value;
    }
  }

  /** All rows of some columns. */
  Doubles columns(int first, int count) {
    Doubles part = new Doubles(rows.length, count);
    for (int row = 0; row < rows.length; row++) {
      System.arraycopy(rows[row], first, part.rows[row], 0, count);
    }
    return part;
  }

  /** Adds another matrix at a place in this one. */
  void add(int firstRow, int firstColumn, Doubles part) {
    for (int row = 0; row < part.rows.length; row++) {
      double[] to = rows[firstRow + row];
      double[] from = part.rows[row];
      for (int column = 0; column < part.columns; column++) {
        to[firstColumn + column] += from[column];
      }
    }
  }

  Doubles transposed() {
    Doubles transposed = new Doubles(columns, rows.length);
    for (int row = 0; row < rows.length; row++) {
      for (int column = 0; column < columns; column++) {
        transposed.rows[column][row] = rows[row][column];
      }
    }
    return transposed;
  }

  /** The product of this and another matrix. */
  Doubles times(Doubles other) {
    Doubles product = new Doubles(rows.length, other.columns);
    for (int row = 0; row < rows.length; row++) {
      for (int inner = 0; inner < columns; inner++) {
        addScaled(product.rows[row], rows[row][inner], other.rows[inner]);
      }
    }
    return product;
  }

  private static void addScaled(double[] sum, double factor, double[] row) {
    for (int i = 0; i < sum.length; i++) {
      sum[i] += factor * row[i];
    }
  }

  /** The inner product of a row of this matrix and the same row of another. */
  double rowProduct(int row, Doubles other) {
    return rowProduct(row, other, row);
  }

  /** The inner product of a row of this matrix and a row of another. */
  double rowProduct(int row, Doubles other, int otherRow) {
    double[] left = rows[row];
    double[] right = other.rows[otherRow];
    double sum = 0;
    for (int column = 0; column < columns; column++) {
      sum += left[column] * right[column];
    }
    return sum;
  }

  /** Adds a multiple of a row of another matrix to a row of this one. */
  void addToRow(int row, double factor, Doubles other, int otherRow) {
    addScaled(rows[row], factor, other.rows[otherRow]);
  }

  /** Adds every value to the flat matrix that an array holds from element {@code first} on. */
  void addTo(double[] sum, int first) {
    for (int row = 0; row < rows.length; row++) {
      for (int column = 0; column < columns; column++) {
        sum[first + row * columns + column] += rows[row][column];
      }
    }
  }

  /** Adds the sum of each column to an array. */
  void addColumnSumsTo(double[] sums) {
    for (double[] row : rows) {
      addScaled(sums, 1, row);
    }
  }

  /** Multiplies a row. */
  void scaleRow(int row, double factor) {
    double[] values = rows[row];
    for (int column = 0; column < columns; column++) {
      values[column] *= factor;
    }
  }

  /** Softmax of each row, in place. */
  void softmax() {
    for (int row = 0; row < rows.length; row++) {
      double[] values = rows[row];
      double largest = Arrays.stream(values).max().orElse(0);
      double sum = 0;
      for (int column = 0; column < columns; column++) {
        values[column] = Math.exp(values[column] - largest);
        sum += values[column];
      }
      scaleRow(row, 1 / sum);
    }
  }

  /** Stores the values, rounded, one row every {@code rowStride} elements from {@code first} on. */
  void store(Values destination, long first, long rowStride) {
    float[] line = new float[columns];
    for (int row = 0; row < rows.length; row++) {
      double[] values = rows[row];
      for (int column = 0; column < columns; column++) {
        line[column] = (float) values[column];
      }
      destination.write(first + row * rowStride, line, columns);
    }
  }
}
