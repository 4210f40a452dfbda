package org.unetrpp.inference;

/**
 * What a segmentation will take, found by doing a little of it.
 *
 * @param times of its stages
 * @param peakBytes of memory that the process will have at the most, its image, its network and
 *     Java included
 */
public record SegmentationEstimate(StageTimes times, long peakBytes) {}
