package org.unetrpp.model;

/** How the spatial branch projects N tokens to P, for keys (E) and values (F). */
public enum TokenProjection {
  /** One linear layer with bias for both, kept under two names in published checkpoints. */
  SHARED_LINEAR,
  /** Two linear layers with bias. */
  SEPARATE_LINEAR,
  /** One matrix (N, P) without bias for both. */
  SHARED_MATRIX
}
