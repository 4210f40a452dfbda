package org.unetrpp.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.unetrpp.backend.LossSums;
import org.unetrpp.backend.LossWeights;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** Launches {@code kernels/loss.cu}. */
final class LossKernels {
  private static final String FILE = "loss";
  private static final int THREADS = 256;
  private static final int WARPS_PER_BLOCK = 8;

  private final CudaContext context;

  LossKernels(CudaContext context) {
    this.context = context;
  }

  /** Waits for the sums. */
  LossSums sums(Buffer logits, Buffer target, Buffer probabilities, int batch, int classes) {
    long voxels = target.elements() / batch;
    LaunchGeometry geometry = geometry(voxels, batch);
    long warps = (long) geometry.gridX() * WARPS_PER_BLOCK;
    int all = batch * classes;
    int count = 3 * all + batch;
    try (var _ = context.scopes().open()) {
      Buffer partials = context.floats(count * warps);
      context.launch(
          FILE,
          CudaContext.entry("loss_probabilities", logits),
          geometry,
          context.arguments(logits, target, probabilities, partials).longs(voxels).ints(classes));
      Buffer sums = context.scopes().allocate(DType.FLOAT64, count);
      context.launch(
          FILE,
          "loss_sums",
          LaunchGeometry.blocks(count, THREADS),
          context.arguments(partials, sums).longs(warps));
      double[] values = context.doubles(sums);
      return new LossSums(
          Arrays.copyOfRange(values, 0, all),
          Arrays.copyOfRange(values, all, 2 * all),
          Arrays.copyOfRange(values, 2 * all, 3 * all),
          Arrays.stream(values, 3 * all, count).sum());
    }
  }

  void gradient(
      Buffer probabilities,
      Buffer target,
      LossWeights weights,
      Buffer dlogits,
      int batch,
      int classes) {
    long voxels = target.elements() / batch;
    try (var _ = context.scopes().open()) {
      Buffer derivatives = upload(weights);
      context.launch(
          FILE,
          CudaContext.entry("loss_gradient", probabilities),
          geometry(voxels, batch),
          context
              .arguments(probabilities, target, derivatives, dlogits)
              .longs(voxels)
              .ints(classes)
              .floats((float) weights.crossEntropy()));
    }
  }

  /** Derivatives of overlap, then of predicted. */
  private Buffer upload(LossWeights weights) {
    double[] overlap = weights.overlap();
    double[] predicted = weights.predicted();
    Buffer uploaded = context.floats((long) overlap.length + predicted.length);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment staged = arena.allocate(uploaded.bytes(), Float.BYTES);
      for (int i = 0; i < overlap.length; i++) {
        staged.setAtIndex(JAVA_FLOAT, i, (float) overlap[i]);
        staged.setAtIndex(JAVA_FLOAT, overlap.length + i, (float) predicted[i]);
      }
      context.driver().copyToDevice(staged, uploaded.address(), context.stream());
      context.driver().synchronize(context.stream());
    }
    return uploaded;
  }

  private static LaunchGeometry geometry(long voxels, int batch) {
    LaunchGeometry ofItem = ElementKernels.packEach(voxels);
    return ofItem.grid(ofItem.gridX(), batch, 1);
  }
}
