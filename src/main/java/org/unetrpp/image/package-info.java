/** Volumes in space: voxels, spacing, affine, and the NIfTI files they come from. */
@NullMarked
package org.unetrpp.image;

import org.jspecify.annotations.NullMarked;
