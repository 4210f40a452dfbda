/** Files from outside: how they fail, and how ours are written in one piece. */
@NullMarked
package org.unetrpp.files;

import org.jspecify.annotations.NullMarked;
