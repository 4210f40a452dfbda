package org.unetrpp.memory;

/** Element type of a tensor. */
public enum DType {
  FLOAT64("f64", 8),
  FLOAT32("f32", 4),
  FLOAT16("f16", 2),
  BFLOAT16("bf16", 2);

  private final String suffix;
  private final int bytes;

  DType(String suffix, int bytes) {
    this.suffix = suffix;
    this.bytes = bytes;
  }

  /** Suffix of this type's kernel entry points, as in {@code layer_norm_forward_bf16}. */
  public String suffix() {
    return suffix;
  }

  /** Bytes of one element. */
  public int bytes() {
    return bytes;
  }
}
