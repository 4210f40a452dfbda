package org.unetrpp.pipeline;

import java.util.List;
import org.unetrpp.grid.Extents;

/**
 * A case as the network sees it.
 *
 * @param channels a volume of (D, H, W) for each channel, of extents {@code geometry.resampled()}
 * @param geometry the way back to the image
 */
public record PreprocessedCase(List<float[]> channels, CaseGeometry geometry) {
  /** Takes the channels as they are. */
  public PreprocessedCase {
    channels = List.copyOf(channels);
  }

  /** Size of each channel, in the network's order of axes. */
  public Extents extents() {
    return geometry.resampled();
  }
}
