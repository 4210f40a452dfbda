/** The published pipeline around the network: crop, resample, normalize, sliding window, export. */
@NullMarked
package org.unetrpp.pipeline;

import org.jspecify.annotations.NullMarked;
