/** Training a network: steps, epochs, checkpoints, logs. */
@NullMarked
package org.unetrpp.training;

import org.jspecify.annotations.NullMarked;
