package org.unetrpp.backend.cpu;

/** Values that share a factor with their neighbors. */
final class Runs {
  private Runs() {}

  /** Work on a part of a tile. */
  @FunctionalInterface
  interface Body {
    /** Does the values of the tile from {@code from} to before {@code to}, all of one factor. */
    void run(int factor, int from, int to);
  }

  /**
   * Cuts a tile into the runs that it touches.
   *
   * @param first element of the tile's first value
   * @param count values of the tile
   * @param run values of one run
   * @param factors that runs take in turn
   */
  static void forEach(long first, int count, long run, int factors, Body body) {
    int from = 0;
    while (from < count) {
      long index = (first + from) / run;
      int to = (int) Math.min(count, (index + 1) * run - first);
      body.run((int) (index % factors), from, to);
      from = to;
    }
  }
}
