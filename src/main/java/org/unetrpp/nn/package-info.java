/** Modules, parameters and their initialization. */
@NullMarked
package org.unetrpp.nn;

import org.jspecify.annotations.NullMarked;
