package org.unetrpp.training;

import java.util.Map;

/** Letters of 5 x 7 pixels, enough for charts on machines without fonts. */
final class Glyphs {
  static final int WIDTH = 5;
  static final int HEIGHT = 7;

  private static final Map<Character, String> ROWS =
      Map.ofEntries(
          Map.entry('0', ".###. #...# #..## #.#.# ##..# #...# .###."),
          Map.entry('1', "..#.. .##.. ..#.. ..#.. ..#.. ..#.. .###."),
          Map.entry('2', ".###. #...# ....# ...#. ..#.. .#... #####"),
          Map.entry('3', "##### ...#. ..#.. ...#. ....# #...# .###."),
          Map.entry('4', "...#. ..##. .#.#. #..#. ##### ...#. ...#."),
          Map.entry('5', "##### #.... ####. ....# ....# #...# .###."),
          Map.entry('6', "..##. .#... #.... ####. #...# #...# .###."),
          Map.entry('7', "##### ....# ...#. ..#.. .#... .#... .#..."),
          Map.entry('8', ".###. #...# #...# .###. #...# #...# .###."),
          Map.entry('9', ".###. #...# #...# .#### ....# ...#. .##.."),
          Map.entry('.', "..... ..... ..... ..... ..... .##.. .##.."),
          Map.entry('-', "..... ..... ..... ##### ..... ..... ....."),
          Map.entry(' ', "..... ..... ..... ..... ..... ..... ....."),
          Map.entry('D', "####. #...# #...# #...# #...# #...# ####."),
          Map.entry('a', "..... ..... .###. ....# .#### #...# .####"),
          Map.entry('c', "..... ..... .###. #.... #.... #...# .###."),
          Map.entry('d', "....# ....# .##.# #..## #...# #...# .####"),
          Map.entry('e', "..... ..... .###. #...# ##### #.... .###."),
          Map.entry('g', "..... .#### #...# #...# .#### ....# .###."),
          Map.entry('h', "#.... #.... #.##. ##..# #...# #...# #...#"),
          Map.entry('i', "..#.. ..... .##.. ..#.. ..#.. ..#.. .###."),
          Map.entry('l', ".##.. ..#.. ..#.. ..#.. ..#.. ..#.. .###."),
          Map.entry('m', "..... ..... ##.#. #.#.# #.#.# #...# #...#"),
          Map.entry('n', "..... ..... #.##. ##..# #...# #...# #...#"),
          Map.entry('o', "..... ..... .###. #...# #...# #...# .###."),
          Map.entry('p', "..... ..... ####. #...# ####. #.... #...."),
          Map.entry('r', "..... ..... #.##. ##..# #.... #.... #...."),
          Map.entry('s', "..... ..... .###. #.... .###. ....# ####."),
          Map.entry('t', ".#... .#... ###.. .#... .#... .#..# ..##."),
          Map.entry('v', "..... ..... #...# #...# #...# .#.#. ..#.."));

  private Glyphs() {}

  /**
   * Whether a pixel of a letter is set.
   *
   * @throws IllegalArgumentException if there is no such letter
   */
  static boolean isSet(char letter, int column, int row) {
    String rows = ROWS.get(letter);
    if (rows == null) {
      throw new IllegalArgumentException("no glyph for '" + letter + "'");
    }
    return rows.charAt(row * (WIDTH + 1) + column) == '#';
  }
}
