package org.unetrpp.backend.cuda;

import org.unetrpp.backend.MatrixView;

/**
 * Matrix products by one provider. The three matrices may differ in type: parameters and their
 * gradients are float32 where activations are bfloat16.
 */
interface MatrixProducts extends Provider {
  /** As {@link org.unetrpp.backend.Backend#matrixProduct}. */
  void product(
      MatrixView a,
      boolean transposeA,
      MatrixView b,
      boolean transposeB,
      MatrixView c,
      boolean accumulate);
}
