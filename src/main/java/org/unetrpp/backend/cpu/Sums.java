package org.unetrpp.backend.cpu;

import java.util.Arrays;
import org.unetrpp.backend.MatrixView;
import org.unetrpp.memory.Buffer;

/** Sums over rows, in double and in an order that the shape alone decides. */
final class Sums {
  private static final int TILES_OF_TASK = 16;

  private final CpuContext context;

  Sums(CpuContext context) {
    this.context = context;
  }

  /** What is summed. */
  @FunctionalInterface
  interface Body {
    /** Adds a tile of whole rows, from element {@code first} on, value by value. */
    void add(long first, int count, double[] sums, Worker worker);
  }

  /** Sums up rows of {@code columns} values. */
  double[] byColumn(long elements, int columns, Body body) {
    int tile = Loops.tile(columns);
    long perTask = (long) tile * TILES_OF_TASK;
    double[][] parts = new double[Math.toIntExact(Math.ceilDiv(elements, perTask))][columns];
    context
        .pool()
        .run(
            parts.length,
            (task, worker) -> {
              double[] lanes = worker.doubles(tile);
              Arrays.fill(lanes, 0, tile, 0);
              long end = Math.min(elements, (task + 1) * perTask);
              for (long first = task * perTask; first < end; first += tile) {
                body.add(first, (int) Math.min(tile, end - first), lanes, worker);
              }
              for (int i = 0; i < tile; i++) {
                parts[task][i % columns] += lanes[i];
              }
            });
    return added(parts, columns);
  }

  /** Sums up the columns of a matrix. */
  double[] ofColumns(MatrixView x) {
    Values values = Values.of(x.buffer());
    int columns = x.columns();
    if (x.rowStride() == columns) {
      return byColumn(
          (long) x.rows() * columns,
          columns,
          (first, count, sums, worker) -> {
            float[] tile = worker.array(0, count);
            values.read(x.offset() + first, tile, count);
            Loops.add(sums, tile, count);
          });
    }
    double[][] parts = new double[CpuContext.tasks(x)][columns];
    context.forEachRow(
        x,
        (task, first, worker) -> {
          float[] row = worker.array(0, columns);
          values.read(first, row, columns);
          Loops.add(parts[task], row, columns);
        });
    return added(parts, columns);
  }

  /** Sums up sums, first to last. */
  static double[] added(double[][] parts, int columns) {
    double[] sums = new double[columns];
    for (double[] part : parts) {
      for (int column = 0; column < columns; column++) {
        sums[column] += part[column];
      }
    }
    return sums;
  }

  /** Adds as many values of {@code part} as {@code sum} has. */
  static void add(double[] sum, double[] part) {
    for (int i = 0; i < sum.length; i++) {
      sum[i] += part[i];
    }
  }

  /** Adds sums to the values of a buffer. */
  static void addTo(Buffer buffer, double[] sums) {
    Values values = Values.of(buffer);
    float[] result = values.toArray();
    for (int i = 0; i < result.length; i++) {
      result[i] = (float) (result[i] + sums[i]);
    }
    values.write(0, result, result.length);
  }
}
