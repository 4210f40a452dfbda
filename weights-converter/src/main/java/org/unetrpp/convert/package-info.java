/** Reads published PyTorch checkpoints and turns them into model files, and back. */
@NullMarked
package org.unetrpp.convert;

import org.jspecify.annotations.NullMarked;
