/**
 * What is used of the CUDA driver, behind one interface, so that kernels run with and without it.
 */
@NullMarked
package org.unetrpp.backend.cuda.driver;

import org.jspecify.annotations.NullMarked;
