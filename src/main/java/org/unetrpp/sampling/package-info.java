/** Patches and batches drawn from prepared cases, the same whatever the number of threads. */
@NullMarked
package org.unetrpp.sampling;

import org.jspecify.annotations.NullMarked;
