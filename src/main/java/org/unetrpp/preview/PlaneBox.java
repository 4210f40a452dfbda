package org.unetrpp.preview;

/**
 * A part of a {@link Plane}, in voxels from its upper left corner.
 *
 * @param firstColumn of the part
 * @param firstRow of the part
 * @param columns of the part, 1 or more
 * @param rows of the part, 1 or more
 */
public record PlaneBox(int firstColumn, int firstRow, int columns, int rows) {}
