package org.unetrpp.pipeline;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.Consumer;

/** A predictor that fills memory which is gone after the consumer has seen it. */
interface FillingPredictor extends PatchPredictor {
  /** Fills (K, D, H, W) with the probabilities of (C, D, H, W). */
  void fill(MemorySegment input, MemorySegment probabilities);

  @Override
  default void predict(MemorySegment input, Consumer<MemorySegment> consumer) {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment probabilities = arena.allocate(JAVA_FLOAT, classes() * patch().voxels());
      fill(input, probabilities);
      consumer.accept(probabilities.asReadOnly());
    }
  }
}
