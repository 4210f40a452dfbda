/** What a device must be able to do: primitives and boxes. */
@NullMarked
package org.unetrpp.backend;

import org.jspecify.annotations.NullMarked;
