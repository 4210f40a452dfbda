package org.unetrpp.drawing;

import java.util.List;
import java.util.Locale;

/**
 * Capital letters, digits and a few signs of 5 x 7 dots, so that writing needs no fonts of the
 * machine. Small letters are written as capitals, and what is not there as a question mark.
 */
public final class BitmapFont {
  /** From one character to the next, in dots. */
  public static final int ADVANCE = 6;

  /** Height of a character in dots. */
  public static final int HEIGHT = 7;

  private static final int WIDTH = ADVANCE - 1;
  private static final char DOT = '#';
  private static final char UNKNOWN = '?';
  private static final String ELLIPSIS = "...";

  /** The characters of each band of glyphs. */
  private static final List<String> BANDS =
      List.of("ABCDEFGHIJKLM", "NOPQRSTUVWXYZ", "0123456789.,:", "-_+/()%'&?");

  private static final List<String> GLYPHS =
      """
      .###. ####. .#### ####. ##### ##### .#### #...# .###. ..### #...# #.... #...#
      #...# #...# #.... #...# #.... #.... #.... #...# ..#.. ....# #..#. #.... ##.##
      #...# #...# #.... #...# #.... #.... #.... #...# ..#.. ....# #.#.. #.... #.#.#
      ##### ####. #.... #...# ####. ####. #..## ##### ..#.. ....# ##... #.... #.#.#
      #...# #...# #.... #...# #.... #.... #...# #...# ..#.. ....# #.#.. #.... #...#
      #...# #...# #.... #...# #.... #.... #...# #...# ..#.. #...# #..#. #.... #...#
      #...# ####. .#### ####. ##### #.... .#### #...# .###. .###. #...# ##### #...#
      #...# .###. ####. .###. ####. .#### ##### #...# #...# #...# #...# #...# #####
      ##..# #...# #...# #...# #...# #.... ..#.. #...# #...# #...# #...# #...# ....#
      ##..# #...# #...# #...# #...# #.... ..#.. #...# #...# #...# .#.#. .#.#. ...#.
      #.#.# #...# ####. #...# ####. .###. ..#.. #...# #...# #.#.# ..#.. ..#.. ..#..
      #..## #...# #.... #.#.# #.#.. ....# ..#.. #...# .#.#. #.#.# .#.#. ..#.. .#...
      #..## #...# #.... #..#. #..#. ....# ..#.. #...# .#.#. ##.## #...# ..#.. #....
      #...# .###. #.... .##.# #...# ####. ..#.. .###. ..#.. #...# #...# ..#.. #####
      .###. ..#.. .###. ####. ...#. ##### ..##. ##### .###. .###. ..... ..... .....
      #...# .##.. #...# ....# ..##. #.... .#... ....# #...# #...# ..... ..... .##..
      #..## ..#.. ....# ....# .#.#. ####. #.... ...#. #...# #...# ..... ..... .##..
      #.#.# ..#.. ..##. .###. #..#. ....# ####. ..#.. .###. .#### ..... ..... .....
      ##..# ..#.. .#... ....# ##### ....# #...# ..#.. #...# ....# ..... .##.. .##..
      #...# ..#.. #.... ....# ...#. #...# #...# ..#.. #...# ...#. .##.. ..#.. .##..
      .###. .###. ##### ####. ...#. .###. .###. ..#.. .###. .##.. .##.. .#... .....
      ..... ..... ..... ....# ...#. .#... ##..# ..#.. .##.. .###.
      ..... ..... ..#.. ...#. ..#.. ..#.. ##.#. ..#.. #..#. #...#
      ..... ..... ..#.. ...#. .#... ...#. ...#. ..#.. #.#.. ....#
      .###. ..... ##### ..#.. .#... ...#. ..#.. ..... .#... ..##.
      ..... ..... ..#.. .#... .#... ...#. .#... ..... #.#.# ..#..
      ..... ..... ..#.. .#... ..#.. ..#.. .#.## ..... #..#. .....
      ..... ##### ..... #.... ...#. .#... #..## ..... .##.# ..#..
      """
          .lines()
          .toList();

  private BitmapFont() {}

  /** Takes the dots of a text. */
  @FunctionalInterface
  interface DotSink {
    /** A dot at a column and a row, counted from the upper left corner of the text. */
    void accept(int column, int row);
  }

  /** Width of a text in dots. */
  public static int width(String text) {
    return Math.max(0, text.length() * ADVANCE - 1);
  }

  /** A text, its end replaced by three points if it is wider than so many dots. */
  public static String fitting(String text, int dots) {
    if (width(text) <= dots) {
      return text;
    }
    int characters = Math.max(0, (dots + 1) / ADVANCE - ELLIPSIS.length());
    return text.substring(0, Math.min(characters, text.length())) + ELLIPSIS;
  }

  /** Gives every dot of a text. */
  static void forEachDot(String text, DotSink sink) {
    String capitals = text.toUpperCase(Locale.ROOT);
    for (int i = 0; i < capitals.length(); i++) {
      if (capitals.charAt(i) != ' ') {
        glyph(capitals.charAt(i), i * ADVANCE, sink);
      }
    }
  }

  private static void glyph(char character, int firstColumn, DotSink sink) {
    for (int band = 0; band < BANDS.size(); band++) {
      int place = BANDS.get(band).indexOf(character);
      if (place >= 0) {
        for (int row = 0; row < HEIGHT; row++) {
          String line = GLYPHS.get(band * HEIGHT + row);
          for (int column = 0; column < WIDTH; column++) {
            if (line.charAt(place * ADVANCE + column) == DOT) {
              sink.accept(firstColumn + column, row);
            }
          }
        }
        return;
      }
    }
    glyph(UNKNOWN, firstColumn, sink);
  }
}
