package org.unetrpp.backend;

/**
 * The path at full resolution: a residual block on the image, added to the upsampled features of
 * the decoder, a residual block on that, a head.
 *
 * @param name of the second block with what comes before it, as a probe is shown it
 * @param encoder the block on the image, C to F channels
 * @param upsampling of the features, to F channels
 * @param decoder the block on the sum, F channels
 * @param head F channels to classes
 */
public record FullResolutionParameters(
    String name,
    ResidualBlockParameters encoder,
    UpsampleParameters upsampling,
    ResidualBlockParameters decoder,
    HeadParameters head) {}
