/** Extents of volumes, kernels and patches, slice axis first. */
@NullMarked
package org.unetrpp.grid;

import org.jspecify.annotations.NullMarked;
