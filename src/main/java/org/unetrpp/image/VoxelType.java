package org.unetrpp.image;

import java.nio.ByteOrder;
import java.util.Locale;

/** What a NIfTI file stores for each voxel: one number, a complex number or a color. */
public enum VoxelType {
  /** Unsigned byte. */
  UINT8(2, Scalar.UINT8, 1),
  /** Signed byte. */
  INT8(256, Scalar.INT8, 1),
  /** Unsigned 16-bit integer. */
  UINT16(512, Scalar.UINT16, 1),
  /** Signed 16-bit integer. */
  INT16(4, Scalar.INT16, 1),
  /** Unsigned 32-bit integer. */
  UINT32(768, Scalar.UINT32, 1),
  /** Signed 32-bit integer. */
  INT32(8, Scalar.INT32, 1),
  /** Unsigned 64-bit integer. */
  UINT64(1280, Scalar.UINT64, 1),
  /** Signed 64-bit integer. */
  INT64(1024, Scalar.INT64, 1),
  /** IEEE single precision. */
  FLOAT32(16, Scalar.FLOAT32, 1),
  /** IEEE double precision. */
  FLOAT64(64, Scalar.FLOAT64, 1),
  /** Real and imaginary part in single precision. */
  COMPLEX64(32, Scalar.FLOAT32, 2),
  /** Real and imaginary part in double precision. */
  COMPLEX128(1792, Scalar.FLOAT64, 2),
  /** Red, green and blue, a byte each. */
  RGB24(128, Scalar.UINT8, 3),
  /** Red, green, blue and opacity, a byte each. */
  RGBA32(2304, Scalar.UINT8, 4);

  private final int code;
  private final Scalar component;
  private final int components;

  VoxelType(int code, Scalar component, int components) {
    this.code = code;
    this.component = component;
    this.components = components;
  }

  /** The number of this type in the field {@code datatype} of a header. */
  public int code() {
    return code;
  }

  /** Bytes of one voxel. */
  public int bytes() {
    return component.bytes() * components;
  }

  /** Whether a voxel is one number, so that the file is an image of intensities. */
  public boolean isScalar() {
    return components == 1;
  }

  /** Whether a voxel is a real and an imaginary part. */
  public boolean isComplex() {
    return this == COMPLEX64 || this == COMPLEX128;
  }

  /** Whether a voxel is a color. */
  public boolean isColor() {
    return this == RGB24 || this == RGBA32;
  }

  /** The type as NumPy writes it: "int16", or ">i2" where stored big endian. */
  public String label(ByteOrder order) {
    boolean oneByteEach = component.bytes() == 1;
    if (order == ByteOrder.LITTLE_ENDIAN || oneByteEach) {
      return name().toLowerCase(Locale.ROOT);
    }
    return ">" + (isComplex() ? 'c' : component.kind()) + bytes();
  }

  /** The numbers that a voxel consists of. */
  Scalar component() {
    return component;
  }

  /** How many numbers a voxel consists of. */
  int components() {
    return components;
  }
}
