package org.unetrpp.pipeline;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import org.unetrpp.grid.Extents;

/** Copies a box of a volume with its axes in another order. */
final class Transposition {
  /** Edge of the blocks in which axes are exchanged, so that both sides stay in the cache. */
  private static final int BLOCK = 16;

  private Transposition() {}

  /**
   * The voxels of a box in a new array.
   *
   * @param source (D, H, W) of float
   * @param extents size of the source
   * @param box what to copy
   * @param order axes of the result
   * @return the box, of extents {@code order.apply(box.extents())}
   */
  static float[] copy(
      MemorySegment source, Extents extents, Box box, AxisOrder order, Workers workers) {
    if (!box.fits(extents)) {
      throw new IllegalArgumentException("%s, expected inside of %s".formatted(box, extents));
    }
    Extents result = order.apply(box.extents());
    float[] target = new float[Math.toIntExact(result.voxels())];
    long[] strides = {(long) extents.height() * extents.width(), extents.width(), 1};
    long first = 0;
    for (int axis = 0; axis < 3; axis++) {
      first += box.origin().along(axis) * strides[axis];
    }
    Copy copy =
        new Copy(
            source,
            first,
            strides[order.first()],
            strides[order.second()],
            strides[order.third()],
            target,
            result);
    workers.forEach(Math.ceilDiv(result.depth(), BLOCK), block -> copy.slices(block * BLOCK));
    return target;
  }

  /** A copy whose source has the given strides along the axes of the target. */
  private record Copy(
      MemorySegment source,
      long first,
      long depthStride,
      long heightStride,
      long widthStride,
      @SuppressWarnings("ArrayRecordComponent") // never compared
          float[] target,
      Extents extents) {
    void slices(int from) {
      int to = Math.min(from + BLOCK, extents.depth());
      if (widthStride == 1) {
        for (int depth = from; depth < to; depth++) {
          rows(depth);
        }
        return;
      }
      for (int row = 0; row < extents.height(); row += BLOCK) {
        for (int column = 0; column < extents.width(); column += BLOCK) {
          block(from, to, row, column);
        }
      }
    }

    private void rows(int depth) {
      for (int row = 0; row < extents.height(); row++) {
        MemorySegment.copy(
            source,
            JAVA_FLOAT,
            Float.BYTES * (first + depth * depthStride + row * heightStride),
            target,
            (depth * extents.height() + row) * extents.width(),
            extents.width());
      }
    }

    private void block(int depthFrom, int depthTo, int rowFrom, int columnFrom) {
      int rowTo = Math.min(rowFrom + BLOCK, extents.height());
      int columnTo = Math.min(columnFrom + BLOCK, extents.width());
      for (int depth = depthFrom; depth < depthTo; depth++) {
        for (int row = rowFrom; row < rowTo; row++) {
          long from = first + depth * depthStride + row * heightStride;
          int to = (depth * extents.height() + row) * extents.width();
          for (int column = columnFrom; column < columnTo; column++) {
            target[to + column] = source.getAtIndex(JAVA_FLOAT, from + column * widthStride);
          }
        }
      }
    }
  }
}
