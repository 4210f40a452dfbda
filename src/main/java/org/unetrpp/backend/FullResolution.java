package org.unetrpp.backend;

import org.unetrpp.memory.Buffer;

/** The path at full resolution, begun with the image. To be finished once. */
@FunctionalInterface
public interface FullResolution {
  /**
   * Adds the upsampled features to the path, and predicts the classes of each voxel.
   *
   * @param features of the decoder, (B, D / kD, H / kH, W / kW, Cin)
   * @return (B, K, D, H, W), in the innermost scope
   */
  Buffer finish(Buffer features, HeadOutput output);
}
