/** What training minimizes. */
@NullMarked
package org.unetrpp.loss;

import org.jspecify.annotations.NullMarked;
