package org.unetrpp.window;

/** A network on a device that keeps the images whose windows it predicts. */
public interface WindowEngine extends AutoCloseable {
  /**
   * Whether the device has the memory for an image now. The first time for such windows, it is
   * found out by sending some through the network.
   */
  boolean holds(WindowedVolume volume);

  /**
   * Takes an image, all sums of whose windows are zero.
   *
   * @throws IllegalStateException if the device does not hold it
   */
  WindowSums open(WindowedVolume volume);

  /** Gives memory back; sums are closed before. */
  @Override
  void close();
}
