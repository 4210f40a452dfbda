package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.memory.Buffer;

/**
 * What a kernel does to its sums before it stores them: it adds the bias of their channel and an
 * addend, and multiplies what is below zero then by a slope.
 *
 * @param bias a float32 for each channel
 * @param addend of the shape and type of the result
 * @param slope of LeakyReLU; with 1 values below zero stay as they are
 */
record Epilogue(@Nullable Buffer bias, @Nullable Buffer addend, double slope) {}
