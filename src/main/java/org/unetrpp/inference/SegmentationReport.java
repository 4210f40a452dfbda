package org.unetrpp.inference;

import org.unetrpp.image.LabelVolume;

/**
 * Labels and what it took to make them.
 *
 * @param labels on the grid of the channels
 * @param times of the stages
 */
public record SegmentationReport(LabelVolume labels, StageTimes times) {}
