package org.unetrpp.image;

/** The formats of header that hold a volume of the NIfTI family. */
public enum HeaderFormat {
  /** Analyze 7.5 of 1989, which has no affine; SPM's scale factor and origin are read. */
  ANALYZE(348, "Analyze 7.5"),
  /** NIfTI-1 of 2003. */
  NIFTI_1(348, "NIfTI-1"),
  /** NIfTI-2 of 2011: wider fields. */
  NIFTI_2(540, "NIfTI-2");

  private final int bytes;
  private final String title;

  HeaderFormat(int bytes, String title) {
    this.bytes = bytes;
    this.title = title;
  }

  /** Length of the header, which its first field repeats. */
  public int bytes() {
    return bytes;
  }

  @Override
  public String toString() {
    return title;
  }
}
