/** NVIDIA GPUs: memory, launchers of the kernels folder, cuDNN and cuBLAS. */
@NullMarked
package org.unetrpp.backend.cuda;

import org.jspecify.annotations.NullMarked;
