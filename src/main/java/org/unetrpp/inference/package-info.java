/** Segmenting volumes with a model file. */
@NullMarked
package org.unetrpp.inference;

import org.jspecify.annotations.NullMarked;
