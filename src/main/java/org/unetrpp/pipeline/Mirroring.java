package org.unetrpp.pipeline;

import java.util.ArrayList;
import java.util.List;

/**
 * Axes along which a patch is mirrored.
 *
 * @param depth whether along the slices
 * @param height whether along the rows
 * @param width whether along the columns
 */
public record Mirroring(boolean depth, boolean height, boolean width) {
  /** Along no axis. */
  public static final Mirroring NONE = new Mirroring(false, false, false);

  /** Along every axis. */
  public static final Mirroring ALL = new Mirroring(true, true, true);

  /**
   * Every way to mirror along some of these axes, in the published order, which counts in binary
   * with the width as lowest digit: none; 2; 1; 1 and 2; 0; 0 and 2; 0 and 1; all.
   */
  public List<Mirroring> combinations() {
    List<Mirroring> combinations = new ArrayList<>();
    for (boolean alongDepth : choices(depth)) {
      for (boolean alongHeight : choices(height)) {
        for (boolean alongWidth : choices(width)) {
          combinations.add(new Mirroring(alongDepth, alongHeight, alongWidth));
        }
      }
    }
    return combinations;
  }

  private static List<Boolean> choices(boolean allowed) {
    return allowed ? List.of(false, true) : List.of(false);
  }
}
