package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.memory.Buffer;

/**
 * What a convolution makes of its sums: {@code y = leakyRelu(sum + bias + addend)}.
 *
 * @param bias of each channel of y, in float32, or none
 * @param addend as y, but not y itself, or none
 * @param slope of the LeakyReLU below zero; 1 for none
 */
record Epilogue(@Nullable Buffer bias, @Nullable Buffer addend, double slope) {
  /** The sums as they are. */
  static final Epilogue NONE = new Epilogue(null, null, 1);

  /** With a bias, or with nothing. */
  static Epilogue of(@Nullable Buffer bias) {
    return new Epilogue(bias, null, 1);
  }
}
