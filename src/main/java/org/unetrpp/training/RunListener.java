package org.unetrpp.training;

/** Is told how a run goes on. */
public interface RunListener {
  /** A step or a validation batch is done. */
  void batchDone(BatchProgress progress);

  /**
   * An epoch is over and saved.
   *
   * @param seconds that this process spent on it
   */
  void epochDone(EpochResult result, double seconds);
}
