/**
 * The network's forward pass compared with ONNX Runtime and PyTorch: values first, then time in
 * interleaved passes, memory beside it.
 */
@NullMarked
package org.unetrpp.bench.peers;

import org.jspecify.annotations.NullMarked;
