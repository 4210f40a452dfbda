package org.unetrpp.backend.cuda.driver;

/** The driver or one of its libraries refused: what was asked, its code and its text. */
public final class CudaException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public CudaException(String message) {
    super(message);
  }

  public CudaException(String message, Throwable cause) {
    super(message, cause);
  }
}
