package org.unetrpp.backend.cpu;

import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
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

  /**
   * What a convolution reads and writes.
   *
   * @param x (B, D, H, W, Cin)
   * @param affine address of means, scales and shifts of the channels of each item, for a
   *     convolution that normalizes what it reads; else 0
   * @param addend (B, D', H', W', Cout), where the epilogue adds one
   * @param y (B, D', H', W', Cout); if none, only the consumer sees the result
   */
  record Operands(
      Buffer x, long affine, Packed packed, @Nullable Buffer addend, @Nullable Buffer y) {
    static Operands of(Buffer x, Packed packed, @Nullable Buffer y) {
      return new Operands(x, 0, packed, null, y);
    }

    static Operands adding(Buffer x, Packed packed, Buffer addend, @Nullable Buffer y) {
      return new Operands(x, 0, packed, addend, y);
    }
  }

  /** What is done with neighboring voxels of the result. */
  @FunctionalInterface
  interface Follower {
    /** Nothing. */
    Follower NONE = (_, _, _) -> {};

    /**
     * Takes some voxels.
     *
     * @param address of the first one's channels
     * @param firstVoxel its number in the batch
     */
    void accept(long address, long firstVoxel, int voxels);
  }

  /** Tasks of a batch, item by item. */
  int tasks(int batch);

  /** The numbers of voxels that a follower may be given. */
  int[] followedVoxels();

  /** Does one task. */
  void run(int task, Worker worker, Operands operands, Follower follower);

  /** Does all tasks of a batch. */
  default void runAll(ThreadPool pool, int batch, Operands operands) {
    runAll(pool, batch, operands, _ -> Follower.NONE);
  }

  /** Does all tasks of a batch, each with the follower of the thread that it runs on. */
  default void runAll(
      ThreadPool pool, int batch, Operands operands, Function<Worker, Follower> followers) {
    pool.run(tasks(batch), (task, worker) -> run(task, worker, operands, followers.apply(worker)));
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
