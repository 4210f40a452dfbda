/** NVIDIA's driver and libraries: where they are, which versions, and how JCuda gets to them. */
@NullMarked
package org.unetrpp.backend.cuda.natives;

import org.jspecify.annotations.NullMarked;
