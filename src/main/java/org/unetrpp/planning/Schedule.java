package org.unetrpp.planning;

/**
 * How long a network is trained.
 *
 * @param epochs number of epochs
 * @param iterations training steps of an epoch
 * @param validationIterations validation batches of an epoch
 * @param batchSize patches of a batch
 * @param foregroundShare share of a batch's patches that are sure to show foreground
 * @param seed of all that is random
 */
public record Schedule(
    int epochs,
    int iterations,
    int validationIterations,
    int batchSize,
    double foregroundShare,
    long seed) {}
