/** UNETR++: one class for each box of the paper's figure. */
@NullMarked
package org.unetrpp.model;

import org.jspecify.annotations.NullMarked;
