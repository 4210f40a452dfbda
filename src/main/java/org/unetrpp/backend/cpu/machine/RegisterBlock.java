package org.unetrpp.backend.cpu.machine;

/**
 * Rows, tiles and blocks of output channels whose sums are in registers at once, beside the weights
 * of one input channel and its values.
 *
 * @param rows of results
 * @param tiles of a row
 * @param together blocks of output channels
 */
record RegisterBlock(int rows, int tiles, int together) {
  private static final int REGISTERS = 32;
  private static final int TAPS = 3;

  /** Cycles from a sum to the next that adds to it. */
  private static final int LATENCY = 4;

  /** Two units multiply and add, two load. */
  private static final double PER_CYCLE = 2;

  /** What starting and storing a block costs for each input channel, roughly. */
  private static final double OVERHEAD = 1.5;

  int sums() {
    return rows * tiles * together;
  }

  int sum(int row, int tile, int out) {
    return (row * tiles + tile) * together + out;
  }

  /** The register of a weight, by tap along the height and block of output channels. */
  int weight(int index) {
    return sums() + index;
  }

  /** The register for the input of a tile: neighbors take different ones as far as there are. */
  int input(int tile) {
    int first = sums() + TAPS * together;
    return first + tile % (REGISTERS - first);
  }

  private boolean fits() {
    return sums() + TAPS * together < REGISTERS;
  }

  /** Cycles for one input channel and one tap along the depth, roughly. */
  private double cycles() {
    int products = TAPS * sums();
    int loads = TAPS * together + (rows + TAPS - 1) * tiles;
    return OVERHEAD + Math.max(LATENCY * TAPS, Math.max(products, loads) / PER_CYCLE);
  }

  /** The block that takes the least time for a strip. */
  static RegisterBlock best(WinogradLayout layout) {
    RegisterBlock best = new RegisterBlock(1, 1, layout.together());
    double least = Double.POSITIVE_INFINITY;
    for (int rows = 1; rows <= layout.rows(); rows++) {
      for (int tiles = 1; tiles <= layout.tiles(); tiles++) {
        RegisterBlock block = new RegisterBlock(rows, tiles, layout.together());
        if (block.fits()) {
          double cycles = block.cycles(layout);
          if (cycles < least) {
            least = cycles;
            best = block;
          }
        }
      }
    }
    return best;
  }

  private double cycles(WinogradLayout layout) {
    int wholeBlocks = layout.rows() / rows;
    return wholeBlocks * cyclesOfRows(layout, rows) + cyclesOfRows(layout, layout.rows() % rows);
  }

  private double cyclesOfRows(WinogradLayout layout, int count) {
    if (count == 0) {
      return 0;
    }
    int wholeBlocks = layout.tiles() / tiles;
    int rest = layout.tiles() % tiles;
    double whole = wholeBlocks * new RegisterBlock(count, tiles, together).cycles();
    return rest == 0 ? whole : whole + new RegisterBlock(count, rest, together).cycles();
  }
}
