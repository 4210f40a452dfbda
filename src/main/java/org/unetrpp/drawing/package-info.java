/** Pictures of lines and letters as PNG files, without a desktop, fonts or native libraries. */
@NullMarked
package org.unetrpp.drawing;

import org.jspecify.annotations.NullMarked;
