/**
 * What is timed: a forward pass and a training step of a network; and what others claim of them.
 */
@NullMarked
package org.unetrpp.benchmark;

import org.jspecify.annotations.NullMarked;
