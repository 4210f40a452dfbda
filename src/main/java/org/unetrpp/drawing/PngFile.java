package org.unetrpp.drawing;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.zip.CRC32;
import java.util.zip.DeflaterOutputStream;
import org.unetrpp.files.AtomicFile;

/**
 * Writes PNG files of 8 bits a channel (<a href="https://www.w3.org/TR/png-3/">Portable Network
 * Graphics</a>), so that no desktop module and no native library of one is needed.
 */
public final class PngFile {
  private static final byte[] SIGNATURE = {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  private static final int BITS = 8;
  private static final int TRUE_COLOR = 2;

  /** Each byte of a row is stored as its difference from the byte above. */
  private static final int FILTER_UP = 2;

  private static final int CHANNELS = 3;

  private PngFile() {}

  /** Writes a picture in one piece. */
  public static void write(Path target, Picture picture) throws IOException {
    byte[] content = bytes(picture);
    AtomicFile.write(target, out -> out.write(content));
  }

  /** What the file of a picture holds. */
  public static byte[] bytes(Picture picture) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(bytes);
    out.write(SIGNATURE);
    chunk("IHDR", header(picture), out);
    chunk("IDAT", rows(picture), out);
    chunk("IEND", new byte[0], out);
    return bytes.toByteArray();
  }

  private static byte[] header(Picture picture) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(bytes);
    out.writeInt(picture.width());
    out.writeInt(picture.height());
    out.write(new byte[] {BITS, TRUE_COLOR, 0, 0, 0}); // deflate, filters by row, not interlaced
    return bytes.toByteArray();
  }

  private static byte[] rows(Picture picture) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (DeflaterOutputStream out = new DeflaterOutputStream(bytes)) {
      byte[] above = new byte[CHANNELS * picture.width()];
      byte[] row = new byte[above.length];
      byte[] differences = new byte[above.length];
      for (int y = 0; y < picture.height(); y++) {
        read(picture, y, row);
        for (int i = 0; i < row.length; i++) {
          differences[i] = (byte) (row[i] - above[i]);
        }
        out.write(FILTER_UP);
        out.write(differences);
        System.arraycopy(row, 0, above, 0, row.length);
      }
    }
    return bytes.toByteArray();
  }

  private static void read(Picture picture, int y, byte[] row) {
    for (int x = 0; x < picture.width(); x++) {
      int color = picture.at(x, y);
      for (int channel = 0; channel < CHANNELS; channel++) {
        row[CHANNELS * x + channel] = (byte) (color >>> (8 * (CHANNELS - 1 - channel)));
      }
    }
  }

  private static void chunk(String type, byte[] data, DataOutputStream out) throws IOException {
    byte[] name = type.getBytes(StandardCharsets.US_ASCII);
    CRC32 checksum = new CRC32();
    checksum.update(name);
    checksum.update(data);
    out.writeInt(data.length);
    out.write(name);
    out.write(data);
    out.writeInt((int) checksum.getValue());
  }
}
