package org.unetrpp.pipeline;

/** Told how far a stage of the pipeline has come, always by the thread that runs the stage. */
@FunctionalInterface
public interface Progress {
  /** Listens to nothing. */
  Progress NONE = (_, _, _) -> {};

  /**
   * Some of a stage is done.
   *
   * @param stage what is being done, for a reader
   * @param done units finished, from 0 to {@code total}
   * @param total units of the whole stage
   */
  void report(String stage, long done, long total);
}
