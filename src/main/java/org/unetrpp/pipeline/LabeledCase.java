package org.unetrpp.pipeline;

/**
 * A case as the network sees it, with what it should say.
 *
 * @param image the channels
 * @param labels class of each voxel of the channels, width fastest; -1 for background outside of
 *     the nonzero mask
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
public record LabeledCase(PreprocessedCase image, short[] labels) {}
