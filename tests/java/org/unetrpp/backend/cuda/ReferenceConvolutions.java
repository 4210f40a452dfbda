package org.unetrpp.backend.cuda;

import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.reference.ReferenceBackend;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** Convolutions of an emulated device by their definition, in double precision. */
final class ReferenceConvolutions implements Convolutions {
  @Override
  public String name() {
    return "own";
  }

  @Override
  public void forward(
      Buffer x, Buffer weight, Epilogue epilogue, Buffer y, Grid grid, Convolution shape) {
    Buffer bias = epilogue.bias();
    Buffer addend = epilogue.addend();
    with(
        y,
        call -> {
          call.reference.convolution(
              call.copy(x),
              call.copy(weight),
              bias == null ? null : call.copy(bias),
              call.result,
              grid,
              shape);
          if (addend != null) {
            call.reference.add(call.result, call.copy(addend), call.result);
          }
          call.reference.leakyRelu(call.result, call.result, epilogue.slope());
        });
  }

  @Override
  public void backwardData(Buffer dy, Buffer weight, Buffer dx, Grid grid, Convolution shape) {
    with(
        dx,
        call ->
            call.reference
                .training()
                .convolutionBackwardData(
                    call.copy(dy), call.copy(weight), call.result, grid, shape));
  }

  @Override
  public void backwardWeights(
      Buffer x, Buffer dy, Buffer dweight, @Nullable Buffer dbias, Grid grid, Convolution shape) {
    if (dbias != null) {
      throw new UnsupportedOperationException("dbias");
    }
    with(
        dweight,
        call ->
            call.reference
                .training()
                .convolutionBackwardWeights(
                    call.copy(x), call.copy(dy), call.result, null, grid, shape));
  }

  private record Call(ReferenceBackend reference, Buffer result) {
    Buffer copy(Buffer values) {
      Buffer copy = reference.scopes().allocate(DType.FLOAT64, values.elements());
      reference.upload(EmulatedContext.values(values), copy);
      return copy;
    }
  }

  private static void with(Buffer result, Consumer<Call> body) {
    try (ReferenceBackend reference = new ReferenceBackend();
        var _ = reference.scopes().open()) {
      Buffer computed = reference.scopes().allocate(DType.FLOAT64, result.elements());
      reference.upload(EmulatedContext.values(result), computed);
      body.accept(new Call(reference, computed));
      float[] values = reference.download(computed);
      for (int i = 0; i < values.length; i++) {
        EmulatedContext.write(result, i, values[i]);
      }
    }
  }
}
