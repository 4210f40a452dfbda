/** One side of {@code bench/gpu/run}: the engine on a GPU, driven through a pipe. */
@NullMarked
package org.unetrpp.bench.gpu;

import org.jspecify.annotations.NullMarked;
