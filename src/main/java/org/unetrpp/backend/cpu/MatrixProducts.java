package org.unetrpp.backend.cpu;

import org.unetrpp.backend.MatrixView;
import org.unetrpp.backend.cpu.OneDnn.Operand;

/** Products of matrices of any shape. */
final class MatrixProducts {
  /** Longest sum that is taken in float; longer ones are sums, in double, of such parts. */
  private static final int LONGEST_SUM = 1024;

  private static final int ROWS_OF_TASK = 256;
  private static final int COLUMNS_OF_TASK = 512;

  private final CpuContext context;

  MatrixProducts(CpuContext context) {
    this.context = context;
  }

  /** One product, {@code c = op(a) op(b)} or {@code c += op(a) op(b)}. */
  private record Product(Operand a, Operand b, int inner, MatrixView c, boolean accumulate) {
    /** Address of {@code op(a)[row, column]}. */
    private static long at(Operand operand, long row, long column) {
      long element =
          operand.transposed()
              ? column * operand.rowStride() + row
              : row * operand.rowStride() + column;
      return operand.address() + element * Float.BYTES;
    }

    private static Operand from(Operand operand, long row, long column) {
      return new Operand(at(operand, row, column), operand.transposed(), operand.rowStride());
    }
  }

  /** {@code c = op(a) op(b)}, or {@code c += op(a) op(b)}. */
  void multiply(
      MatrixView a,
      boolean transposeA,
      MatrixView b,
      boolean transposeB,
      MatrixView c,
      boolean accumulate) {
    int inner = transposeA ? a.rows() : a.columns();
    Product product =
        new Product(
            new Operand(address(a), transposeA, a.rowStride()),
            new Operand(address(b), transposeB, b.rowStride()),
            inner,
            c,
            accumulate);
    int down = Math.ceilDiv(c.rows(), ROWS_OF_TASK);
    int across = Math.ceilDiv(c.columns(), COLUMNS_OF_TASK);
    if (inner <= LONGEST_SUM) {
      context
          .pool()
          .run(down * across, (task, worker) -> direct(product, task / across, task % across));
    } else if (down * across > 1 || inner < 4 * LONGEST_SUM) {
      context
          .pool()
          .run(
              down * across,
              (task, worker) -> inParts(product, task / across, task % across, worker));
    } else {
      partsInParallel(product);
    }
  }

  static long address(MatrixView view) {
    return view.buffer().address() + view.offset() * Float.BYTES;
  }

  private void direct(Product p, int down, int across) {
    int row = down * ROWS_OF_TASK;
    int column = across * COLUMNS_OF_TASK;
    context
        .oneDnn()
        .sgemm(
            Math.min(ROWS_OF_TASK, p.c().rows() - row),
            Math.min(COLUMNS_OF_TASK, p.c().columns() - column),
            p.inner(),
            Product.from(p.a(), row, 0),
            Product.from(p.b(), 0, column),
            address(p.c()) + (row * p.c().rowStride() + column) * Float.BYTES,
            p.c().rowStride(),
            p.accumulate());
  }

  /** One tile of the result as the sum of partial products. */
  private void inParts(Product p, int down, int across, Worker worker) {
    int row = down * ROWS_OF_TASK;
    int column = across * COLUMNS_OF_TASK;
    int rows = Math.min(ROWS_OF_TASK, p.c().rows() - row);
    int columns = Math.min(COLUMNS_OF_TASK, p.c().columns() - column);
    long scratch = worker.scratch((long) rows * columns);
    Values part = Values.at(scratch, (long) rows * columns);
    double[] sums = new double[rows * columns];
    for (int first = 0; first < p.inner(); first += LONGEST_SUM) {
      context
          .oneDnn()
          .sgemm(
              rows,
              columns,
              Math.min(LONGEST_SUM, p.inner() - first),
              Product.from(p.a(), row, first),
              Product.from(p.b(), first, column),
              scratch,
              columns,
              false);
      addTo(sums, part.toArray());
    }
    store(p, row, column, rows, columns, sums);
  }

  /** A small result of long sums: the partial products are the tasks. */
  private void partsInParallel(Product p) {
    int rows = p.c().rows();
    int columns = p.c().columns();
    int parts = Math.ceilDiv(p.inner(), LONGEST_SUM);
    float[][] results = new float[parts][];
    context
        .pool()
        .run(
            parts,
            (task, worker) -> {
              int first = task * LONGEST_SUM;
              long scratch = worker.scratch((long) rows * columns);
              context
                  .oneDnn()
                  .sgemm(
                      rows,
                      columns,
                      Math.min(LONGEST_SUM, p.inner() - first),
                      Product.from(p.a(), 0, first),
                      Product.from(p.b(), first, 0),
                      scratch,
                      columns,
                      false);
              results[task] = Values.at(scratch, (long) rows * columns).toArray();
            });
    double[] sums = new double[rows * columns];
    for (float[] result : results) {
      addTo(sums, result);
    }
    store(p, 0, 0, rows, columns, sums);
  }

  private static void addTo(double[] sums, float[] values) {
    for (int i = 0; i < values.length; i++) {
      sums[i] += values[i];
    }
  }

  private static void store(Product p, int row, int column, int rows, int columns, double[] sums) {
    Values c = Values.of(p.c().buffer());
    float[] line = new float[columns];
    for (int i = 0; i < rows; i++) {
      long first = p.c().offset() + (row + i) * p.c().rowStride() + column;
      if (p.accumulate()) {
        c.read(first, line, columns);
      }
      for (int j = 0; j < columns; j++) {
        double before = p.accumulate() ? line[j] : 0;
        line[j] = (float) (before + sums[i * columns + j]);
      }
      c.write(first, line, columns);
    }
  }
}
