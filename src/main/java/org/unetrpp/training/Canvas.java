package org.unetrpp.training;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.zip.CRC32;
import java.util.zip.DeflaterOutputStream;

/** A picture to draw on; needs neither fonts nor a display. */
final class Canvas {
  static final int LETTER_SCALE = 2;
  static final int LETTER_ADVANCE = (Glyphs.WIDTH + 1) * LETTER_SCALE;
  static final int LETTER_HEIGHT = Glyphs.HEIGHT * LETTER_SCALE;
  private static final int WHITE = 0xffffff;
  private static final byte[] SIGNATURE = {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

  private final int width;
  private final int height;
  private final int[] pixels;

  /** A white canvas. */
  Canvas(int width, int height) {
    this.width = width;
    this.height = height;
    this.pixels = new int[width * height];
    Arrays.fill(pixels, WHITE);
  }

  /** Fills a rectangle; what lies outside of the canvas is left out. */
  void fill(int left, int top, int columns, int rows, int rgb) {
    for (int y = Math.max(0, top); y < Math.min(height, top + rows); y++) {
      for (int x = Math.max(0, left); x < Math.min(width, left + columns); x++) {
        pixels[y * width + x] = rgb;
      }
    }
  }

  /** Draws a straight line, two pixels thick. */
  void line(int x0, int y0, int x1, int y1, int rgb) {
    int steps = Math.max(1, Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0)));
    for (int i = 0; i <= steps; i++) {
      int x = x0 + (int) Math.round((double) (x1 - x0) * i / steps);
      int y = y0 + (int) Math.round((double) (y1 - y0) * i / steps);
      fill(x, y, 2, 2, rgb);
    }
  }

  /** Writes a text whose upper left corner is given. */
  void text(int left, int top, String text, int rgb) {
    for (int i = 0; i < text.length(); i++) {
      for (int row = 0; row < Glyphs.HEIGHT; row++) {
        for (int column = 0; column < Glyphs.WIDTH; column++) {
          if (Glyphs.isSet(text.charAt(i), column, row)) {
            fill(
                left + i * LETTER_ADVANCE + column * LETTER_SCALE,
                top + row * LETTER_SCALE,
                LETTER_SCALE,
                LETTER_SCALE,
                rgb);
          }
        }
      }
    }
  }

  /** The picture as a PNG file. */
  byte[] png() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(SIGNATURE);
    byte[] sampling = {8, 2, 0, 0, 0}; // 8 bits of red, green and blue, not interlaced
    chunk(out, "IHDR", ByteBuffer.allocate(13).putInt(width).putInt(height).put(sampling).array());
    chunk(out, "IDAT", compressed());
    chunk(out, "IEND", new byte[0]);
    return out.toByteArray();
  }

  private byte[] compressed() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (OutputStream out = new DeflaterOutputStream(bytes)) {
      byte[] row = new byte[1 + 3 * width]; // begins with the filter: none
      for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
          int rgb = pixels[y * width + x];
          row[1 + 3 * x] = (byte) (rgb >> 16);
          row[2 + 3 * x] = (byte) (rgb >> 8);
          row[3 + 3 * x] = (byte) rgb;
        }
        out.write(row);
      }
    } catch (IOException e) {
      throw new UncheckedIOException("a stream into memory failed", e);
    }
    return bytes.toByteArray();
  }

  private static void chunk(ByteArrayOutputStream out, String type, byte[] data) {
    byte[] name = type.getBytes(StandardCharsets.US_ASCII);
    CRC32 crc = new CRC32();
    crc.update(name);
    crc.update(data);
    out.writeBytes(
        ByteBuffer.allocate(12 + data.length)
            .putInt(data.length)
            .put(name)
            .put(data)
            .putInt((int) crc.getValue())
            .array());
  }
}
