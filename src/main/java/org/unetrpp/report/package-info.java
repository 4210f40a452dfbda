/** An evaluation as one HTML page that needs nothing beside it. */
@NullMarked
package org.unetrpp.report;

import org.jspecify.annotations.NullMarked;
