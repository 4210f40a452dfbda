/** Images that are kept where a network is, while windows of them pass through it. */
@NullMarked
package org.unetrpp.window;

import org.jspecify.annotations.NullMarked;
