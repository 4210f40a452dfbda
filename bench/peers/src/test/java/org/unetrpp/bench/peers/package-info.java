@NullMarked
package org.unetrpp.bench.peers;

import org.jspecify.annotations.NullMarked;
