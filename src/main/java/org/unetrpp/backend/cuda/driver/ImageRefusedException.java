package org.unetrpp.backend.cuda.driver;

/** The driver cannot use a kernel image on its device; the message is its reason. */
final class ImageRefusedException extends Exception {
  private static final long serialVersionUID = 1L;

  ImageRefusedException(String message) {
    super(message);
  }
}
