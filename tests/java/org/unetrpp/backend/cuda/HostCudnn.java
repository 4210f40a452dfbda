package org.unetrpp.backend.cuda;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.unetrpp.backend.cuda.driver.Cudnn;
import org.unetrpp.backend.cuda.driver.Precision;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.HostMemory;

/**
 * cuDNN as its manual defines it, on memory of the host: by the extents and strides of descriptors.
 * Of its algorithms number 0 is quickest but differs from run to run, 1 takes all the memory there
 * is, 2 is good and 3 slower.
 */
final class HostCudnn implements Cudnn {
  static final int GOOD = 2;
  static final long GOOD_WORKSPACE = 1002;

  private static final byte POISON = (byte) 0xFF;
  private static final long[] WORKSPACES = {0, 1L << 40, GOOD_WORKSPACE, 0, -1};
  private static final float[] MILLIS = {1, 2, 3, 4, 5};

  final Set<Plan> plans = new HashSet<>();
  final List<Integer> runs = new ArrayList<>();
  int measured;
  long version = 91_600;
  boolean closed;
  boolean onlyVarying; // whether every algorithm differs from run to run

  private record HostPlan(Direction direction, Shape shape) implements Plan {}

  @Override
  public long version() {
    return version;
  }

  @Override
  public Plan plan(Direction direction, Shape shape, Precision precision) {
    Plan plan = new HostPlan(direction, shape);
    plans.add(plan);
    return plan;
  }

  @Override
  public void destroy(Plan plan) {
    if (!plans.remove(plan)) {
      throw new IllegalStateException("no such plan");
    }
  }

  @Override
  public int algorithms(Direction direction) {
    return WORKSPACES.length;
  }

  @Override
  public long workspaceBytes(Plan plan, int algorithm) {
    return WORKSPACES[algorithm];
  }

  @Override
  public List<Measured> measure(
      Plan plan, long x, long weight, long y, long workspace, long workspaceBytes) {
    measured++;
    List<Measured> results = new ArrayList<>();
    for (int algorithm = 0; algorithm < WORKSPACES.length; algorithm++) {
      if (WORKSPACES[algorithm] >= 0 && WORKSPACES[algorithm] <= workspaceBytes) {
        results.add(new Measured(algorithm, MILLIS[algorithm], algorithm != 0 && !onlyVarying));
      }
    }
    run(plan, GOOD, x, weight, y, workspace, workspaceBytes);
    return results;
  }

  @Override
  public void run(
      Plan plan, int algorithm, long x, long weight, long y, long workspace, long workspaceBytes) {
    if (closed || !plans.contains(plan) || workspaceBytes < WORKSPACES[algorithm]) {
      throw new IllegalStateException("CUDNN_STATUS_BAD_PARAM");
    }
    runs.add(algorithm);
    HostMemory.segment(workspace, WORKSPACES[algorithm]).fill(POISON);
    compute((HostPlan) plan, x, weight, y);
  }

  private static void compute(HostPlan plan, long x, long weight, long y) {
    Shape shape = plan.shape();
    Buffer xs = tensor(x, shape, shape.x());
    Buffer weights = tensor(weight, shape, shape.weight());
    Buffer ys = tensor(y, shape, shape.y());
    Buffer result =
        switch (plan.direction()) {
          case FORWARD -> ys;
          case BACKWARD_DATA -> xs;
          case BACKWARD_WEIGHTS -> weights;
        };
    double[] sums = new double[Math.toIntExact(result.elements())];
    visit(
        shape,
        (xAt, weightAt, yAt) -> {
          switch (plan.direction()) {
            case FORWARD ->
                sums[yAt] +=
                    (double) EmulatedContext.read(xs, xAt)
                        * EmulatedContext.read(weights, weightAt);
            case BACKWARD_DATA ->
                sums[xAt] +=
                    (double) EmulatedContext.read(ys, yAt)
                        * EmulatedContext.read(weights, weightAt);
            case BACKWARD_WEIGHTS ->
                sums[weightAt] +=
                    (double) EmulatedContext.read(ys, yAt) * EmulatedContext.read(xs, xAt);
          }
        });
    for (int i = 0; i < sums.length; i++) {
      EmulatedContext.write(result, i, (float) sums[i]);
    }
  }

  private static Buffer tensor(long address, Shape shape, int[] extents) {
    long elements = 1;
    for (int extent : extents) {
      elements *= extent;
    }
    return new Buffer(address, shape.dtype(), elements);
  }

  /** One product: places in the memory of x, of the weights and of y. */
  private interface Visitor {
    void product(int x, int weight, int y);
  }

  private static void visit(Shape shape, Visitor visitor) {
    int[] y = shape.y();
    int[] weight = shape.weight();
    int[] at = new int[8]; // n, k, output d h w, tap d h w
    int[] limits = {y[0], y[1], y[2], y[3], y[4], weight[2], weight[3], weight[4]};
    do {
      int yAt = 0;
      for (int axis = 0; axis < 5; axis++) {
        yAt += at[axis] * shape.yStrides()[axis];
      }
      int xAt = at[0] * shape.xStrides()[0];
      boolean inside = true;
      for (int axis = 0; axis < 3; axis++) {
        int place = at[2 + axis] * shape.stride()[axis] + at[5 + axis] - shape.padding()[axis];
        inside &= place >= 0 && place < shape.x()[2 + axis];
        xAt += place * shape.xStrides()[2 + axis];
      }
      int tap = (at[5] * weight[3] + at[6]) * weight[4] + at[7];
      int taps = weight[2] * weight[3] * weight[4];
      for (int c = 0; inside && c < weight[1]; c++) {
        visitor.product(xAt + c * shape.xStrides()[1], (at[1] * taps + tap) * weight[1] + c, yAt);
      }
    } while (next(at, limits));
  }

  private static boolean next(int[] at, int[] limits) {
    for (int axis = at.length - 1; axis >= 0; axis--) {
      if (++at[axis] < limits[axis]) {
        return true;
      }
      at[axis] = 0;
    }
    return false;
  }

  @Override
  public void close() {
    closed = true;
  }
}
