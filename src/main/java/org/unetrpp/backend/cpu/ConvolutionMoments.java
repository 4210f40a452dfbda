package org.unetrpp.backend.cpu;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.unetrpp.backend.cpu.machine.Follower;
import org.unetrpp.backend.cpu.machine.Operands;
import org.unetrpp.memory.Buffer;

/**
 * A convolution, and the moments of each item's result, taken of each slab right after it was
 * written. Running it again makes no objects.
 */
final class ConvolutionMoments implements Runnable {
  private final CpuContext context;
  private final PlannedConvolution convolution;
  private final Operands operands;
  private final Values result;
  private final Moments[] parts;
  private final Moments[] items;
  private final Gatherer[] gatherers; // of each thread
  private final ThreadPool.Task convolving = this::convolve;

  /**
   * Plans a convolution.
   *
   * @param y where {@code operands} has the result
   */
  ConvolutionMoments(
      CpuContext context,
      PlannedConvolution convolution,
      Operands operands,
      Buffer y,
      int batch,
      int channels) {
    this.context = context;
    this.convolution = convolution;
    this.operands = operands;
    result = Values.of(y);
    parts = moments(convolution.tasks(batch), channels);
    items = moments(batch, channels);
    gatherers = new Gatherer[context.pool().threads()];
    Arrays.setAll(gatherers, index -> new Gatherer(context.pool().worker(index)));
  }

  private static Moments[] moments(int count, int channels) {
    return IntStream.range(0, count).mapToObj(_ -> new Moments(channels)).toArray(Moments[]::new);
  }

  /** The moments of each item, of the last run. */
  Moments[] items() {
    return items;
  }

  @Override
  public void run() {
    context.pool().run(parts.length, convolving);
    int perItem = parts.length / items.length;
    for (int item = 0; item < items.length; item++) {
      items[item].clear();
      for (int part = 0; part < perItem; part++) {
        items[item].merge(parts[item * perItem + part]);
      }
    }
  }

  private void convolve(int task, Worker worker) {
    Gatherer gatherer = gatherers[worker.index()];
    gatherer.moments = parts[task];
    gatherer.moments.clear();
    convolution.run(task, worker, operands, gatherer);
  }

  /** Takes the moments of what the tasks of one thread write. */
  private final class Gatherer implements Follower {
    private final Worker worker;
    private Moments moments = new Moments(0); // of the present task

    Gatherer(Worker worker) {
      this.worker = worker;
    }

    @Override
    public void accept(long address, long firstVoxel, int voxels) {
      moments.addRows(result, firstVoxel * moments.channels(), voxels, worker);
    }
  }
}
