/** Benchmarks of the network and its parts, at the sizes of the published networks. */
@NullMarked
package org.unetrpp.bench;

import org.jspecify.annotations.NullMarked;
