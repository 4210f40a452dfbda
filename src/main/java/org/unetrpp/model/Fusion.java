package org.unetrpp.model;

/** How the spatial and the channel branch of paired attention become one. */
public enum Fusion {
  /** A linear layer C to C/2 on each, spatial half first. */
  CONCATENATE,
  /** The plain sum of the two, without weights. */
  SUM
}
