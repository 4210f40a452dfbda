/** How parameters are updated from their gradients. */
@NullMarked
package org.unetrpp.optim;

import org.jspecify.annotations.NullMarked;
