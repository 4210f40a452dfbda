package org.unetrpp.window;

/**
 * One axis of a volume that is made of another by weighted sums of its samples, as many for each
 * place.
 *
 * @param axis of the other volume that this one lies along, 0, 1 or 2
 * @param taps samples for each place
 * @param indices of these samples, place by place
 * @param weights of these samples
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
public record AxisTaps(int axis, int taps, int[] indices, double[] weights) {
  /** Places along the axis. */
  public int length() {
    return indices.length / taps;
  }
}
