package org.unetrpp.backend;

import org.unetrpp.memory.Buffer;

/**
 * A row-major matrix inside a buffer.
 *
 * @param buffer holds the values
 * @param offset element of the buffer that is element (0, 0)
 * @param rows number of rows
 * @param columns number of columns, contiguous within a row
 * @param rowStride elements from one row to the next
 */
public record MatrixView(Buffer buffer, long offset, int rows, int columns, long rowStride) {
  public MatrixView {
    long end = rows == 0 ? offset : offset + (rows - 1) * rowStride + columns;
    if (offset < 0 || rows < 0 || columns < 0 || end > buffer.elements()) {
      throw new IllegalArgumentException(
          "%d x %d matrix with row stride %d at element %d leaves its buffer of %d elements"
              .formatted(rows, columns, rowStride, offset, buffer.elements()));
    }
  }

  /** The whole buffer as rows of {@code columns} values. */
  public static MatrixView of(Buffer buffer, int columns) {
    return new MatrixView(
        buffer, 0, Math.toIntExact(buffer.elements() / columns), columns, columns);
  }

  /** {@code count} rows from row {@code first} on. */
  public MatrixView rows(int first, int count) {
    return new MatrixView(buffer, offset + first * rowStride, count, columns, rowStride);
  }

  /** {@code count} columns from column {@code first} on. */
  public MatrixView columns(int first, int count) {
    return new MatrixView(buffer, offset + first, rows, count, rowStride);
  }
}
