/** Figures that compare a segmentation with its reference, as papers show them. */
@NullMarked
package org.unetrpp.figure;

import org.jspecify.annotations.NullMarked;
