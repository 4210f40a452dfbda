package org.unetrpp.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Lines of cells in columns: names to the left, numbers to the right. */
final class TextTable {
  private static final String GAP = "  ";

  private final int names;
  private final List<List<String>> rows = new ArrayList<>();

  /**
   * @param names how many columns hold names
   */
  TextTable(int names) {
    this.names = names;
  }

  /** Adds a line, of as many cells as the others. */
  void add(List<String> row) {
    rows.add(List.copyOf(row));
  }

  /** A mean Dice, or a dash where there is none. */
  static String dice(double mean) {
    return Double.isNaN(mean) ? "-" : String.format(Locale.ROOT, "%.4f", mean);
  }

  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    for (List<String> row : rows) {
      StringBuilder line = new StringBuilder();
      for (int column = 0; column < row.size(); column++) {
        String padding = " ".repeat(width(column) - row.get(column).length());
        line.append(column == 0 ? "" : GAP);
        line.append(column < names ? row.get(column) + padding : padding + row.get(column));
      }
      text.append(line).append(System.lineSeparator());
    }
    return text.toString();
  }

  private int width(int column) {
    return rows.stream().mapToInt(row -> row.get(column).length()).max().orElse(0);
  }
}
