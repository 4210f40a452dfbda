/**
 * Folders of images and labels, their check, their fingerprint, and cases prepared for training.
 */
@NullMarked
package org.unetrpp.dataset;

import org.jspecify.annotations.NullMarked;
