/** Sets of voxels as runs along rows, and their connected components. No tensors. */
@NullMarked
package org.unetrpp.mask;

import org.jspecify.annotations.NullMarked;
