package org.unetrpp.backend.cpu;

import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.cpu.machine.Follower;
import org.unetrpp.backend.cpu.machine.Operands;
import org.unetrpp.memory.Buffer;

/**
 * A convolution of channels-last volumes of certain extents, cut into tasks that depend on the
 * shape alone. Each task hands what it has just written to a consumer while it is in the cache.
 */
interface PlannedConvolution {
  /**
   * Weights as the convolution reads them.
   *
   * @param weights address of the packed weights
   * @param bias address, or 0 for none
   */
  record Packed(long weights, long bias) {}

  /** Operands without an addend. */
  static Operands operands(Buffer x, Packed packed, @Nullable Buffer y) {
    return new Operands(
        x.address(), 0, packed.weights(), packed.bias(), 0, y == null ? 0 : y.address());
  }

  /** Operands with an addend. */
  static Operands adding(Buffer x, Packed packed, Buffer addend, @Nullable Buffer y) {
    return new Operands(
        x.address(),
        0,
        packed.weights(),
        packed.bias(),
        addend.address(),
        y == null ? 0 : y.address());
  }

  /** Operands of a convolution that normalizes what it reads, by affine maps at an address. */
  static Operands normalizing(Buffer x, long affine, Packed packed, Buffer y) {
    return new Operands(x.address(), affine, packed.weights(), packed.bias(), 0, y.address());
  }

  /** Tasks of a batch, item by item. */
  int tasks(int batch);

  /** The numbers of voxels that a follower may be given. */
  int[] followedVoxels();

  /** Does one task. */
  void run(int task, Worker worker, Operands operands, Follower follower);

  /** Does all tasks of a batch. */
  default void runAll(ThreadPool pool, int batch, Operands operands) {
    pass(pool, batch, operands, _ -> Follower.NONE).run();
  }

  /**
   * All tasks of a batch, to be done again and again.
   *
   * @param followers makes the follower of each thread, now
   */
  default Runnable pass(
      ThreadPool pool, int batch, Operands operands, Function<Worker, Follower> followers) {
    Follower[] ofThreads = new Follower[pool.threads()];
    Arrays.setAll(ofThreads, index -> followers.apply(pool.worker(index)));
    return new CpuContext.Pass(
        pool,
        tasks(batch),
        (task, worker) -> run(task, worker, operands, ofThreads[worker.index()]));
  }

  /** Packs weights as they are. */
  Packed pack(Buffer weight, @Nullable Buffer bias);

  /** Packs weights and bias with a batch normalization that follows folded in, in double. */
  Packed fold(Buffer weight, ChannelNorm.Batch norm);

  /**
   * Runs {@code body} with the weights of the convolution that goes the other way: channels
   * exchanged, kernel turned around. They are packed for this once, since in training they change
   * before they are needed again.
   *
   * @param weight (Cin, Cout, kD, kH, kW) in this one's terms
   */
  void withFlipped(Buffer weight, Consumer<Packed> body);

  /** Whose code it runs on, and which. */
  List<String> implementations();
}
