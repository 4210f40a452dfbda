/** Removing all but the largest connected components of labels, and deciding for which classes. */
@NullMarked
package org.unetrpp.postprocessing;

import org.jspecify.annotations.NullMarked;
