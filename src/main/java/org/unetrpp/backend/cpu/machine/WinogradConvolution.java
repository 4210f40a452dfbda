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

  private static final long CLEARED_AT_ONCE = 4096;
  private static final long CACHE_LINE = 64;

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
  private final MemorySegment zeros;

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
      zeros = arena.allocate(CLEARED_AT_ONCE, CACHE_LINE);
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

  /** The numbers of voxels that a follower may be given. */
  public int[] followedVoxels() {
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

  /** Packed values of a group. */
  public int groupValues() {
    return Winograd.PRODUCTS * layout.weightBytes() / Float.BYTES;
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
   * @param packed an array of at least {@link #groupValues} values of any content
   */
  public void pack(int group, float[] weights, double[] scales, long to, float[] packed) {
    double[][] transform = Winograd.weightTransform();
    int floats = layout.weightBytes() / Float.BYTES;
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
    int values = groupValues();
    HostMemory.write(packed, 0, to + (long) group * values * Float.BYTES, values);
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

  /** A thread's way to do tasks, one after the other. */
  public Pass pass() {
    return new Pass();
  }

  /** One task at a time. Running one makes no objects. */
  public final class Pass {
    private Strip code = whole; // these are of the present task
    private WinogradLayout layout = code.layout();
    private int firstRow;
    private long itemVoxels;
    private long transformed;
    private long results;
    private long line;
    private long chunk;
    private long affine;
    private long bias;
    private long addend;
    private long x;
    private long y;
    private long weights;

    private Pass() {}

    /**
     * Does one task.
     *
     * @param scratch address of {@link #scratchBytes()} bytes, aligned to a cache line
     * @param follower called for each strip of a plane, from first to last
     */
    public void run(int task, long scratch, Operands operands, Follower follower) {
      int ofItem = task % (ranges * strips);
      int item = item(task);
      int strip = ofItem % strips;
      code = strip == strips - 1 ? last : whole;
      layout = code.layout();
      firstRow = strip * stripRows;
      itemVoxels = item * extents.voxels();
      transformed = scratch;
      results = transformed + (long) PLANES * layout.planeBytes();
      line = results + layout.resultsBytes();
      chunk = line + layout.lineBytes();
      x = operands.x();
      y = operands.y();
      weights = operands.weights();
      addend = operands.addend();
      affine = operands.affine() + 3L * item * inChannels * Float.BYTES;
      bias = operands.bias();
      int firstPlane = ofItem / strips * taskPlanes;
      run(firstPlane, Math.min(extents.depth(), firstPlane + taskPlanes), follower);
    }

    private void run(int firstPlane, int endPlane, Follower follower) {
      for (int plane = firstPlane - HALO; plane < firstPlane + HALO; plane++) {
        transform(plane);
      }
      for (int plane = firstPlane; plane < endPlane; plane++) {
        transform(plane + HALO);
        long voxel = voxel(plane, firstRow);
        long to = y == 0 ? chunk : y + voxel * outChannels * Float.BYTES;
        for (int group = 0; group < layout.outGroups(); group++) {
          multiply(plane, group);
          write(group, voxel, to);
        }
        follower.accept(to, voxel, layout.rows() * extents.width());
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
        clear(to, layout.planeBytes());
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
                x + voxel(plane, begin) * inChannels * Float.BYTES,
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
          clear(at, layout.rowBytes());
        }
      }
    }

    private void clear(long address, long bytes) {
      for (long done = 0; done < bytes; done += zeros.byteSize()) {
        HostMemory.copy(zeros.address(), address + done, Math.min(zeros.byteSize(), bytes - done));
      }
    }

    private void multiply(int plane, int group) {
      long ofGroup = weights + (long) group * Winograd.PRODUCTS * layout.weightBytes();
      for (int product = 0; product < Winograd.PRODUCTS; product++) {
        long input = (long) product * layout.inputBytes();
        try {
          code.product()
              .invokeExact(
                  slot(plane - 1) + input,
                  slot(plane) + input,
                  slot(plane + 1) + input,
                  ofGroup + (long) product * layout.weightBytes(),
                  results + (long) product * layout.resultBytes());
        } catch (Throwable e) {
          throw MachineCode.unexpected(e);
        }
      }
    }

    private void write(int group, long voxel, long to) {
      long channel = (long) group * groupChannels() * Float.BYTES;
      try {
        code.output()
            .invokeExact(
                results,
                to + channel,
                addend + voxel * outChannels * Float.BYTES + channel,
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
