package org.unetrpp.pipeline;

/** Takes the stages of a case, for checking them against another program's. */
@FunctionalInterface
public interface StageListener {
  /**
   * A stage is done; called in the order of the stages, on the thread that runs the pipeline.
   *
   * @param stage whose arrays change afterwards
   */
  void accept(PipelineStage stage);
}
