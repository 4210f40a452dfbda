package org.unetrpp.image;

import static org.unetrpp.image.HeaderField.MAGIC;

import org.jspecify.annotations.Nullable;

/** The characters of a NIfTI header that say where its voxels are. */
enum NiftiMagic {
  /** "n+1", "n+2": in the same file, behind the header. */
  SINGLE_FILE('+'),
  /** "ni1", "ni2": in the .img file beside the .hdr file. */
  PAIR('i');

  private static final int LENGTH_IN_FIRST = 4;

  /** NIfTI-2 adds characters that a transfer as text would change. */
  private static final String GUARD_IN_SECOND = "\0\r\n\032\n";

  private final char place;

  NiftiMagic(char place) {
    this.place = place;
  }

  /** The magic of a header; null if it has none, as in Analyze. */
  static @Nullable NiftiMagic of(HeaderBytes bytes) {
    String text = bytes.text(MAGIC, LENGTH_IN_FIRST);
    for (NiftiMagic magic : values()) {
      if (text.equals(magic.text(bytes.format()))) {
        return magic;
      }
    }
    return null;
  }

  void writeTo(HeaderBytes bytes) {
    boolean second = bytes.format() == HeaderFormat.NIFTI_2;
    String guard = second ? GUARD_IN_SECOND : "\0";
    String text = text(bytes.format()) + guard;
    bytes.setText(MAGIC, text.length(), text);
  }

  /** The three characters of the magic. */
  String text(HeaderFormat format) {
    return "n" + place + (format == HeaderFormat.NIFTI_2 ? '2' : '1');
  }
}
