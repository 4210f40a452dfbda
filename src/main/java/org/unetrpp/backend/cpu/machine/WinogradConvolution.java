package org.unetrpp.backend.cpu.machine;

import static org.unetrpp.backend.cpu.machine.WinogradLayout.LANES;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.stream.IntStream;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.HostMemory;

/**
 * A convolution of 3x3x3 taps and stride 1 that keeps the extents, over channels-last volumes,
 * computed by {@link Winograd} along the width and directly along depth and height, in machine code
 * made for its extents.
 *
 * <p>A task is a strip of rows through some planes. It transforms each plane's rows once, keeps
 * three planes, and writes the strip of one plane after the other. Tasks depend on the shape alone.
 */
public final class WinogradConvolution implements AutoCloseable {
  private static final int HALO = 1;
  private static final int PLANES = 2 * HALO + 1;
  private static final int TAPS = 27;

  /** Transformed inputs of a task: well within the second-level cache of one core. */
  private static final int CACHED_BYTES = 420 << 10;

  /** Strips have whole blocks of rows where they can. */
  private static final int ROWS_ROUNDED_TO = 4;

  /** Tasks that a volume is cut into if its extents allow: some for each of a few threads. */
  private static final int FEWEST_TASKS = 8;

  private static final int MOST_PLANES = 16;

  private final int inChannels;
  private final int outChannels;
  private final Extents extents;
  private final int stripRows;
  private final int strips;
  private final int taskPlanes;
  private final int ranges;
  private final WinogradLayout layout;
  private final Arena arena;
  private final Strip whole;
  private final Strip last;
  private final MemorySegment constants;

  /**
   * What happens to values on their way.
   *
   * @param normalizing whether inputs are {@code leakyRelu((x - mean) scale + shift)} first
   * @param slopeBefore of that LeakyReLU
   * @param bias whether a bias is added to the result
   * @param addend whether a volume of the result's shape is added to it
   * @param slopeAfter of a LeakyReLU at the end; 1 for none
   */
  public record Steps(
      boolean normalizing, float slopeBefore, boolean bias, boolean addend, float slopeAfter) {}

  /** The functions for a strip of some rows. */
  private record Strip(
      WinogradLayout layout, MethodHandle input, MethodHandle product, MethodHandle output) {
    static Strip of(WinogradLayout layout, Steps steps, Arena arena) {
      WinogradCode code = new WinogradCode(layout);
      return new Strip(
          layout,
          MachineCode.function(code.input(steps.normalizing()), 6, arena),
          MachineCode.function(code.product(RegisterBlock.best(layout)), 5, arena),
          MachineCode.function(
              code.output(steps.bias(), steps.addend(), steps.slopeAfter() != 1), 5, arena));
    }
  }

  /**
   * Assembles the code.
   *
   * @param extents of input and output
   * @throws IllegalArgumentException if the channels are not {@linkplain #takes taken}
   * @throws IllegalStateException if the system allows no code that is made at run time
   */
  @SuppressWarnings("MustBeClosedChecker") // close closes it
  public WinogradConvolution(int inChannels, int outChannels, Extents extents, Steps steps) {
    if (!takes(inChannels, outChannels)) {
      throw new IllegalArgumentException(
          "%d to %d channels, expected multiples of %d".formatted(inChannels, outChannels, LANES));
    }
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.extents = extents;
    int together = outChannels % (2 * LANES) == 0 ? 2 : 1;
    stripRows = stripRows(inChannels, extents);
    strips = Math.ceilDiv(extents.height(), stripRows);
    taskPlanes = taskPlanes(extents.depth(), strips);
    ranges = Math.ceilDiv(extents.depth(), taskPlanes);
    layout = new WinogradLayout(inChannels, outChannels, extents.width(), stripRows, together);
    arena = Arena.ofShared();
    try {
      constants =
          arena.allocateFrom(
              ValueLayout.JAVA_FLOAT,
              WinogradCode.constants(steps.slopeBefore(), steps.slopeAfter()));
      whole = Strip.of(layout, steps, arena);
      int rest = extents.height() % stripRows;
      last =
          rest == 0
              ? whole
              : Strip.of(
                  new WinogradLayout(inChannels, outChannels, extents.width(), rest, together),
                  steps,
                  arena);
    } catch (RuntimeException e) {
      arena.close();
      throw e;
    }
  }

  /** Whether convolutions between so many channels can be computed. */
  public static boolean takes(int inChannels, int outChannels) {
    return inChannels > 0 && outChannels > 0 && inChannels % LANES == 0 && outChannels % LANES == 0;
  }

  /**
   * Whether this system can run the code: its calling convention is that of System V and it allows
   * code made at run time. Whether the processor has AVX-512 is for the caller to know.
   */
  public static boolean isSupported() {
    return MachineCode.isAllowed();
  }

  private static int stripRows(int inChannels, Extents extents) {
    WinogradLayout row = new WinogradLayout(inChannels, LANES, extents.width(), 1, 1);
    int most =
        CACHED_BYTES / (PLANES * Winograd.PRODUCTS * row.inBlocks() * row.rowBytes()) - 2 * HALO;
    if (extents.height() <= most) {
      return extents.height();
    }
    return Math.min(extents.height(), Math.max(ROWS_ROUNDED_TO, most - most % ROWS_ROUNDED_TO));
  }

  private static int taskPlanes(int depth, int strips) {
    int planes = Math.min(MOST_PLANES, depth);
    while (planes > 2 && strips * Math.ceilDiv(depth, planes) < FEWEST_TASKS) {
      planes = (planes + 1) / 2;
    }
    return planes;
  }

  /** Tasks of a batch, item by item. */
  public int tasks(int batch) {
    return batch * ranges * strips;
  }

  /** The item of a batch that a task belongs to. */
  public int item(int task) {
    return task / (ranges * strips);
  }

  /** The numbers of voxels that a consumer may be given. */
  public int[] consumedVoxels() {
    return IntStream.of(whole.layout().rows(), last.layout().rows())
        .distinct()
        .map(rows -> rows * extents.width())
        .toArray();
  }

  /** Bytes of the packed weights. */
  public long weightBytes() {
    return (long) groups() * Winograd.PRODUCTS * layout.weightBytes();
  }

  /** Groups of output channels, each of which is packed for itself. */
  public int groups() {
    return layout.outGroups();
  }

  /** Output channels of a group. */
  public int groupChannels() {
    return layout.together() * LANES;
  }

  /**
   * Packs the weights of a group of output channels.
   *
   * @param weights (channels of a group, Cin, 3, 3, 3)
   * @param scales by which those of each output channel of the group are multiplied first
   * @param to address of the packed weights of all groups
   */
  public void pack(int group, float[] weights, double[] scales, long to) {
    double[][] transform = Winograd.weightTransform();
    int floats = layout.weightBytes() / Float.BYTES;
    float[] packed = new float[Winograd.PRODUCTS * floats];
    int channels = groupChannels();
    for (int out = 0; out < channels; out++) {
      for (int in = 0; in < inChannels; in++) {
        for (int depth = 0; depth < 3; depth++) {
          for (int height = 0; height < 3; height++) {
            int from = (out * inChannels + in) * TAPS + (depth * 3 + height) * 3;
            int at = ((depth * inChannels + in) * 3 + height) * channels + out;
            for (int product = 0; product < Winograd.PRODUCTS; product++) {
              double[] row = transform[product];
              packed[product * floats + at] =
                  (float)
                      (scales[out]
                          * (row[0] * weights[from]
                              + row[1] * weights[from + 1]
                              + row[2] * weights[from + 2]));
            }
          }
        }
      }
    }
    long bytes = (long) packed.length * Float.BYTES;
    MemorySegment.copy(
        packed,
        0,
        HostMemory.segment(to + group * bytes, bytes),
        ValueLayout.JAVA_FLOAT,
        0,
        packed.length);
  }

  /** Bytes of scratch that a task needs. */
  public long scratchBytes() {
    return (long) PLANES * layout.planeBytes()
        + layout.resultsBytes()
        + layout.lineBytes()
        + chunkBytes();
  }

  private long chunkBytes() {
    return (long) stripRows * extents.width() * outChannels * Float.BYTES;
  }

  /**
   * Addresses of what a convolution reads and writes.
   *
   * @param x (B, D, H, W, Cin)
   * @param affine means, scales and shifts of the channels of each item, if inputs are normalized
   * @param weights packed
   * @param bias of each output channel, if there is one
   * @param addend (B, D, H, W, Cout), if there is one
   * @param y (B, D, H, W, Cout), or 0 if the result goes to the consumer alone
   */
  public record Operands(long x, long affine, long weights, long bias, long addend, long y) {}

  /** What is done with the rows just written, while they are in the cache. */
  @FunctionalInterface
  public interface Consumer {
    /**
     * Takes neighboring voxels.
     *
     * @param address of the first voxel's channels
     * @param firstVoxel its number in the batch
     */
    void accept(long address, long firstVoxel, int voxels);
  }

  /**
   * Does one task.
   *
   * @param scratch address of {@link #scratchBytes()} bytes, aligned to a cache line
   * @param consumer called for each strip of a plane, from first to last
   */
  public void run(int task, long scratch, Operands operands, Consumer consumer) {
    int ofItem = task % (ranges * strips);
    int item = item(task);
    int strip = ofItem % strips;
    int firstPlane = ofItem / strips * taskPlanes;
    int endPlane = Math.min(extents.depth(), firstPlane + taskPlanes);
    Strip code = strip == strips - 1 ? last : whole;
    new Pass(code, scratch, operands, item, strip * stripRows).run(firstPlane, endPlane, consumer);
  }

  /** One task at work. */
  private final class Pass {
    private final Strip code;
    private final WinogradLayout layout;
    private final Operands operands;
    private final int firstRow;
    private final long itemVoxels;
    private final long transformed;
    private final long results;
    private final long line;
    private final long chunk;
    private final long affine;
    private final long bias;

    Pass(Strip code, long scratch, Operands operands, int item, int firstRow) {
      this.code = code;
      this.layout = code.layout();
      this.operands = operands;
      this.firstRow = firstRow;
      itemVoxels = item * extents.voxels();
      transformed = scratch;
      results = transformed + (long) PLANES * layout.planeBytes();
      line = results + layout.resultsBytes();
      chunk = line + layout.lineBytes();
      affine = operands.affine() + 3L * item * inChannels * Float.BYTES;
      bias = operands.bias();
    }

    void run(int firstPlane, int endPlane, Consumer consumer) {
      for (int plane = firstPlane - HALO; plane < firstPlane + HALO; plane++) {
        transform(plane);
      }
      for (int plane = firstPlane; plane < endPlane; plane++) {
        transform(plane + HALO);
        long voxel = voxel(plane, firstRow);
        long y = operands.y() == 0 ? chunk : operands.y() + voxel * outChannels * Float.BYTES;
        for (int group = 0; group < layout.outGroups(); group++) {
          multiply(plane, group);
          write(group, voxel, y);
        }
        consumer.accept(y, voxel, layout.rows() * extents.width());
      }
    }

    private long voxel(int plane, int row) {
      return itemVoxels + ((long) plane * extents.height() + row) * extents.width();
    }

    private long slot(int plane) {
      return transformed + (long) Math.floorMod(plane, PLANES) * layout.planeBytes();
    }

    /** Transforms the strip's rows of a plane with one row on either side; zeros lie outside. */
    private void transform(int plane) {
      long to = slot(plane);
      if (plane < 0 || plane >= extents.depth()) {
        HostMemory.segment(to, layout.planeBytes()).fill((byte) 0);
        return;
      }
      int begin = Math.max(0, firstRow - HALO);
      int end = Math.min(extents.height(), firstRow + layout.rows() + HALO);
      if (begin > firstRow - HALO) {
        clearRow(to, 0);
      }
      if (end < firstRow + layout.rows() + HALO) {
        clearRow(to, layout.rows() + HALO);
      }
      try {
        code.input()
            .invokeExact(
                operands.x() + voxel(plane, begin) * inChannels * Float.BYTES,
                to + (long) (begin - firstRow + HALO) * layout.rowBytes(),
                line,
                constants.address(),
                affine,
                (long) (end - begin));
      } catch (Throwable e) {
        throw MachineCode.unexpected(e);
      }
    }

    private void clearRow(long plane, int row) {
      for (int product = 0; product < Winograd.PRODUCTS; product++) {
        for (int block = 0; block < layout.inBlocks(); block++) {
          long at =
              plane
                  + (long) product * layout.inputBytes()
                  + (long) block * layout.blockBytes()
                  + (long) row * layout.rowBytes();
          HostMemory.segment(at, layout.rowBytes()).fill((byte) 0);
        }
      }
    }

    private void multiply(int plane, int group) {
      long weights = operands.weights() + (long) group * Winograd.PRODUCTS * layout.weightBytes();
      for (int product = 0; product < Winograd.PRODUCTS; product++) {
        long input = (long) product * layout.inputBytes();
        try {
          code.product()
              .invokeExact(
                  slot(plane - 1) + input,
                  slot(plane) + input,
                  slot(plane + 1) + input,
                  weights + (long) product * layout.weightBytes(),
                  results + (long) product * layout.resultBytes());
        } catch (Throwable e) {
          throw MachineCode.unexpected(e);
        }
      }
    }

    private void write(int group, long voxel, long y) {
      long channel = (long) group * groupChannels() * Float.BYTES;
      try {
        code.output()
            .invokeExact(
                results,
                y + channel,
                operands.addend() + voxel * outChannels * Float.BYTES + channel,
                constants.address(),
                bias + channel);
      } catch (Throwable e) {
        throw MachineCode.unexpected(e);
      }
    }
  }

  /** Unmaps the code. */
  @Override
  public void close() {
    arena.close();
  }
}
