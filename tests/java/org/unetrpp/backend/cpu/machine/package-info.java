@NullMarked
package org.unetrpp.backend.cpu.machine;

import org.jspecify.annotations.NullMarked;
