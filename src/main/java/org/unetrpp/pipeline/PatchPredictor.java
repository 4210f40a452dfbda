package org.unetrpp.pipeline;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.function.Consumer;
import org.unetrpp.grid.Extents;
import org.unetrpp.window.WindowEngine;

/** A network as the sliding window sees it: class probabilities of one patch. */
public interface PatchPredictor {
  /** Channels of a patch. */
  int channels();

  /** Classes, background included. */
  int classes();

  /** Size of a patch in voxels. */
  Extents patch();

  /**
   * Predicts a patch. Calls come one after another from the thread that runs the sliding window;
   * the predictor may use threads of its own.
   *
   * @param input (C, D, H, W) of float in native memory, on a multiple of 64 bytes; must not be
   *     changed
   * @param consumer is given the probabilities, softmax over the classes: (K, D, H, W) of float in
   *     native memory, which hold until it returns
   */
  void predict(MemorySegment input, Consumer<MemorySegment> consumer);

  /** The same network for images that are kept where it is; none if the host does as well. */
  default Optional<WindowEngine> windows() {
    return Optional.empty();
  }
}
