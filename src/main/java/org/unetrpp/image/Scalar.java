package org.unetrpp.image;

/** The storage of one number in a file. */
enum Scalar {
  UINT8(1, 'u'),
  INT8(1, 'i'),
  UINT16(2, 'u'),
  INT16(2, 'i'),
  UINT32(4, 'u'),
  INT32(4, 'i'),
  UINT64(8, 'u'),
  INT64(8, 'i'),
  FLOAT32(4, 'f'),
  FLOAT64(8, 'f');

  private final int bytes;
  private final char kind;

  Scalar(int bytes, char kind) {
    this.bytes = bytes;
    this.kind = kind;
  }

  int bytes() {
    return bytes;
  }

  /** The letter of NumPy: i, u or f. */
  char kind() {
    return kind;
  }
}
