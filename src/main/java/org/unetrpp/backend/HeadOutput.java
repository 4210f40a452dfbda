package org.unetrpp.backend;

/** What a head gives for each class and voxel. */
public enum HeadOutput {
  /** The linear values. */
  LOGITS,
  /** Their softmax over the classes. */
  PROBABILITIES
}
