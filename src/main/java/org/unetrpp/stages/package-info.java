/** Stages of the pipeline on disk, and the comparison of two runs by them. */
@NullMarked
package org.unetrpp.stages;

import org.jspecify.annotations.NullMarked;
