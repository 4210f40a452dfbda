/** Pictures of a segmentation for people, made without a desktop, fonts or native libraries. */
@NullMarked
package org.unetrpp.preview;

import org.jspecify.annotations.NullMarked;
