package org.unetrpp.bench.peers;

import java.nio.file.Path;

/**
 * What a contestant is opened with.
 *
 * @param what it shall do
 * @param variant name of a published network
 * @param exports folder of the files that {@code export.py} writes
 * @param threads threads to compute with
 */
record Setup(What what, String variant, Path exports, int threads) {
  /** The network for ONNX Runtime. */
  Path onnx() {
    return exports.resolve(variant + ".onnx");
  }

  /** The input, (1, C, D, H, W). */
  NpyFile input() {
    return NpyFile.open(exports.resolve(variant + "-input.npy"));
  }

  /** The expected logits, (1, K, D, H, W). */
  NpyFile expectedLogits() {
    return NpyFile.open(exports.resolve(variant + "-logits.npy"));
  }

  /** The expected training step. */
  ExpectedStep expectedStep() {
    return ExpectedStep.read(exports.resolve(variant + "-step.json"), what.batchSize(variant));
  }

  /** Folder for the native libraries that a contestant unpacks. */
  Path natives() {
    return exports.resolve("natives");
  }
}
