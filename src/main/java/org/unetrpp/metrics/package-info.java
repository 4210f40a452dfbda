/** How well labels agree with a reference: overlap, surface distances, volumes. No tensors. */
@NullMarked
package org.unetrpp.metrics;

import org.jspecify.annotations.NullMarked;
