/** Files of named tensors: safetensors here, other formats as services. */
@NullMarked
package org.unetrpp.weights;

import org.jspecify.annotations.NullMarked;
