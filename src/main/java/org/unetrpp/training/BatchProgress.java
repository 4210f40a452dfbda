package org.unetrpp.training;

/**
 * How far a run is after a batch.
 *
 * @param phase what the batch was for
 * @param epoch under way, from 1
 * @param epochs of the run
 * @param done batches of this phase of the epoch that are done
 * @param total batches of this phase of the epoch
 * @param loss of the batch
 * @param secondsPerBatch of this phase in this epoch
 * @param waitingShare share of that time in which the batch was waited for, 0 to 1
 * @param epochSecondsLeft until the epoch ends
 * @param runSecondsLeft until the run ends
 */
public record BatchProgress(
    Phase phase,
    int epoch,
    int epochs,
    int done,
    int total,
    double loss,
    double secondsPerBatch,
    double waitingShare,
    double epochSecondsLeft,
    double runSecondsLeft) {
  /** The parts of an epoch. */
  public enum Phase {
    TRAINING,
    VALIDATION
  }
}
