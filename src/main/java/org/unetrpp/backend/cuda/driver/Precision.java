package org.unetrpp.backend.cuda.driver;

/** How libraries multiply values of float32; sums are in float32 always. */
public enum Precision {
  /** As float32. */
  FLOAT32("float32"),
  /** Rounded to ten bits of fraction, on tensor cores. */
  TENSOR_FLOAT32("tf32");

  private final String label;

  Precision(String label) {
    this.label = label;
  }

  /** Short name, as in {@code tf32}. */
  public String label() {
    return label;
  }
}
