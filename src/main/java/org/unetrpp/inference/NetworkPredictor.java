package org.unetrpp.inference;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.grid.Extents;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.UnetrPlusPlus;
import org.unetrpp.pipeline.PatchPredictor;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;

/**
 * Networks on a device as the sliding window sees them: the mean of their probabilities. Threads
 * may share it: they take turns, patch by patch, and each patch has all of the device.
 */
final class NetworkPredictor implements PatchPredictor {
  private static final long ALIGNMENT_BYTES = 64;

  private final Backend backend;
  private final List<UnetrPlusPlus> networks;
  private final Architecture architecture;
  private final ReentrantLock turn = new ReentrantLock(true);

  /**
   * @param networks at least one, of the same patch, channels and classes
   */
  NetworkPredictor(Backend backend, List<UnetrPlusPlus> networks) {
    this.backend = backend;
    this.networks = List.copyOf(networks);
    this.architecture = networks.getFirst().architecture();
  }

  @Override
  public int channels() {
    return architecture.inputChannels();
  }

  @Override
  public int classes() {
    return architecture.classes();
  }

  @Override
  public Extents patch() {
    return architecture.patch();
  }

  @Override
  public void predict(MemorySegment input, MemorySegment probabilities) {
    turn.lock();
    try {
      forward(networks.getFirst(), input, probabilities);
      if (networks.size() > 1) {
        addOthers(input, probabilities);
      }
    } finally {
      turn.unlock();
    }
  }

  private void forward(UnetrPlusPlus network, MemorySegment input, MemorySegment probabilities) {
    Extents patch = architecture.patch();
    Shape shape = Shape.of(1, channels(), patch.depth(), patch.height(), patch.width());
    try (var _ = backend.scopes().open()) {
      Tensor image = Tensor.uninitialized(backend, shape);
      backend.upload(input, image.buffer());
      Tensor result = network.forward(image, HeadOutput.PROBABILITIES);
      backend.download(result.buffer(), probabilities);
    }
  }

  /** Makes of the first network's probabilities the mean of all, added in the order of networks. */
  private void addOthers(MemorySegment input, MemorySegment sums) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment others = arena.allocate(sums.byteSize(), ALIGNMENT_BYTES);
      for (int i = 1; i < networks.size(); i++) {
        forward(networks.get(i), input, others);
        add(others, sums, i == networks.size() - 1 ? 1f / networks.size() : 1);
      }
    }
  }

  /** {@code sums = share * (sums + others)}. */
  private static void add(MemorySegment others, MemorySegment sums, float share) {
    for (long offset = 0; offset < sums.byteSize(); offset += Float.BYTES) {
      float sum = sums.get(JAVA_FLOAT, offset) + others.get(JAVA_FLOAT, offset);
      sums.set(JAVA_FLOAT, offset, share * sum);
    }
  }
}
