/** The fast CPU: oneDNN through the foreign-function API, own passes between. */
@NullMarked
package org.unetrpp.backend.cpu;

import org.jspecify.annotations.NullMarked;
