package org.unetrpp.pipeline;

/**
 * An image ready for the network.
 *
 * @param image what windows are cut out of
 * @param geometry the way back to the grid that it came from
 */
record PreparedImage(WindowedImage image, CaseGeometry geometry) {}
