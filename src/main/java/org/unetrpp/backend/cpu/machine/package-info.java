/**
 * Machine code for x86-64 with AVX-512, assembled at run time: kernels whose extents are part of
 * the code.
 */
@NullMarked
package org.unetrpp.backend.cpu.machine;

import org.jspecify.annotations.NullMarked;
