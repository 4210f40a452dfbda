/** Training plans: what is trained, on what, and how. */
@NullMarked
package org.unetrpp.planning;

import org.jspecify.annotations.NullMarked;
