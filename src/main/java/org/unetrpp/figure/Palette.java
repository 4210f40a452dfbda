package org.unetrpp.figure;

/** Colors of what is around the panels, {@code 0xRRGGBB}. */
public enum Palette {
  LIGHT(0xffffff, 0x101418),
  DARK(0x101418, 0xe0e4e8);

  private final int paper;
  private final int ink;

  Palette(int paper, int ink) {
    this.paper = paper;
    this.ink = ink;
  }

  int paper() {
    return paper;
  }

  int ink() {
    return ink;
  }
}
