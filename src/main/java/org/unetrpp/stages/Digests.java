package org.unetrpp.stages;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** Hashes of values. */
final class Digests {
  private static final int TILE = 1 << 14;

  private Digests() {}

  /** SHA-256 of floats as little-endian bytes, in hexadecimal digits. */
  static String sha256(float[] values) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      ByteBuffer bytes = ByteBuffer.allocate(TILE * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
      for (int first = 0; first < values.length; first += TILE) {
        int count = Math.min(TILE, values.length - first);
        bytes.asFloatBuffer().put(values, first, count);
        digest.update(bytes.array(), 0, count * Float.BYTES);
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("this Java has no SHA-256, which every Java must have", e);
    }
  }
}
