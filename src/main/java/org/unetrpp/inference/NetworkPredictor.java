package org.unetrpp.inference;

import java.lang.foreign.MemorySegment;
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
 * A network on a device as the sliding window sees it. Threads may share it: they take turns, patch
 * by patch, and each patch has all of the device.
 */
final class NetworkPredictor implements PatchPredictor {
  private final Backend backend;
  private final UnetrPlusPlus network;
  private final Architecture architecture;
  private final ReentrantLock turn = new ReentrantLock(true);

  NetworkPredictor(Backend backend, UnetrPlusPlus network) {
    this.backend = backend;
    this.network = network;
    this.architecture = network.architecture();
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
    Extents patch = architecture.patch();
    Shape shape = Shape.of(1, channels(), patch.depth(), patch.height(), patch.width());
    turn.lock();
    try (var _ = backend.scopes().open()) {
      Tensor image = Tensor.uninitialized(backend, shape);
      backend.upload(input, image.buffer());
      Tensor result = network.forward(image, HeadOutput.PROBABILITIES);
      backend.download(result.buffer(), probabilities);
    } finally {
      turn.unlock();
    }
  }
}
