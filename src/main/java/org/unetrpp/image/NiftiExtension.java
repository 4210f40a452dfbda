package org.unetrpp.image;

/**
 * An extension of a NIfTI header. What it says is kept for output, not interpreted.
 *
 * @param code who defines the content: 4 AFNI, 6 comment, 32 CIFTI and so on
 * @param bytes length in the file, the eight bytes of length and code included
 */
public record NiftiExtension(int code, int bytes) {}
