/** Random transformations of training patches. */
@NullMarked
package org.unetrpp.augmentation;

import org.jspecify.annotations.NullMarked;
