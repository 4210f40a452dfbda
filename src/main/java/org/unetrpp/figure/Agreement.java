package org.unetrpp.figure;

/**
 * What a prediction says of a voxel beside its reference. The colors of errors are told apart by
 * people of any color vision (Okabe and Ito), and their hatchings without colors.
 */
enum Agreement {
  BACKGROUND("", 0, 0, 0),
  RIGHT("right", 0, 0, 0),
  FALSE_POSITIVE("false positive", 0xd55e00, 1, 0),
  FALSE_NEGATIVE("false negative", 0x56b4e9, 0, 1),
  OTHER_CLASS("wrong class", 0xf0e442, 1, 1);

  private static final int HATCH_DISTANCE = 6;
  private static final int HATCH_WIDTH = 2;

  private final String title;
  private final int color;
  private final int rising;
  private final int falling;

  /**
   * @param rising 1 for lines that rise to the right, else 0
   * @param falling 1 for lines that fall to the right, else 0
   */
  Agreement(String title, int color, int rising, int falling) {
    this.title = title;
    this.color = color;
    this.rising = rising;
    this.falling = falling;
  }

  static Agreement of(int reference, int prediction) {
    if (reference == prediction) {
      return reference == 0 ? BACKGROUND : RIGHT;
    }
    return reference == 0 ? FALSE_POSITIVE : prediction == 0 ? FALSE_NEGATIVE : OTHER_CLASS;
  }

  boolean isError() {
    return rising + falling > 0;
  }

  /** The name for people. */
  String title() {
    return title;
  }

  /** Of an error, {@code 0xRRGGBB}. */
  int color() {
    return color;
  }

  /** Whether a pixel lies on a line of an error's hatching. */
  boolean isHatched(int x, int y) {
    return (rising == 1 && Math.floorMod(x + y, HATCH_DISTANCE) < HATCH_WIDTH)
        || (falling == 1 && Math.floorMod(x - y, HATCH_DISTANCE) < HATCH_WIDTH);
  }
}
