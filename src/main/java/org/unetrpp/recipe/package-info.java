/**
 * The published recipes: data sets, networks, training, evaluation and figures, read from files.
 */
@NullMarked
package org.unetrpp.recipe;

import org.jspecify.annotations.NullMarked;
