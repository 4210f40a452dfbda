/** The truth the other backends are compared with: plain double-precision loops. */
@NullMarked
package org.unetrpp.backend.reference;

import org.jspecify.annotations.NullMarked;
