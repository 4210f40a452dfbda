package org.unetrpp.preview;

import org.unetrpp.image.Geometry;

/** The ways in which radiologists cut a patient. */
public enum ViewDirection {
  AXIAL("Axial"),
  CORONAL("Coronal"),
  SAGITTAL("Sagittal");

  private final String title;

  ViewDirection(String title) {
    this.title = title;
  }

  /** The name for people. */
  public String title() {
    return title;
  }

  /** The plane of a grid that is closest to this direction. */
  public Plane plane(Geometry geometry) {
    return switch (this) {
      case AXIAL -> Plane.axial(geometry);
      case CORONAL -> Plane.coronal(geometry);
      case SAGITTAL -> Plane.sagittal(geometry);
    };
  }
}
