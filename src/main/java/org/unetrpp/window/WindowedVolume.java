package org.unetrpp.window;

import java.util.List;
import org.unetrpp.grid.Extents;

/**
 * An image of which windows are to be predicted.
 *
 * @param extents size of the image
 * @param slices of the image that are needed at a time
 * @param sumSlices slices of the sums that are needed at a time
 * @param windows the most that begin at one slice
 * @param mirrorings the axes along which each prediction of a window is mirrored, as bits: 4 for
 *     the depth, 2 for the height, 1 for the width
 * @param importance of the voxels of a window, (D, H, W); empty if all are 1 and need not be summed
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
public record WindowedVolume(
    Extents extents,
    int slices,
    int sumSlices,
    int windows,
    List<Integer> mirrorings,
    float[] importance) {
  public WindowedVolume {
    mirrorings = List.copyOf(mirrorings);
  }
}
