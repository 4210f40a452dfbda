package org.unetrpp.bench;

import com.google.errorprone.annotations.MustBeClosed;
import java.util.List;
import java.util.stream.IntStream;
import org.unetrpp.backend.Backend;
import org.unetrpp.engine.Device;
import org.unetrpp.engine.Engine;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.MemoryScope;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.TrainableState;
import org.unetrpp.nn.DeterministicTensor;

/** One box of a network on the CPU, ready to run again and again. */
final class BoxRun implements AutoCloseable {
  private static final int FLOATS_PER_CHUNK = 1 << 22;

  /** The two boxes that read the image, whose gradient nobody wants. */
  private static final List<String> ON_IMAGE =
      List.of("unetr_pp_encoder.downsample_layers.0", "encoder1");

  private final Backend backend;
  private final TrainableState state;
  private final MemoryScope scope;
  private final BoxCall call;
  private final BoxCall gradients;
  private final BoxCall.Tensors tensors;

  /**
   * Opens the CPU and fills the network.
   *
   * @param box its name in published checkpoints
   * @param batch patches
   * @throws IllegalArgumentException if the network has no such box
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // close closes them
  BoxRun(Architecture architecture, String box, int batch, int threads) {
    backend = Engine.open(new Device.Cpu(), threads);
    state =
        new TrainableState(
            backend,
            architecture,
            entry -> DeterministicTensor.ofState(entry.name(), entry.shape()));
    List<BoxCall> calls = NetworkBoxCalls.of(architecture, state.parameters(), batch);
    int index =
        IntStream.range(0, calls.size())
            .filter(i -> calls.get(i).name().equals(box))
            .findFirst()
            .orElseThrow(() ->
                new IllegalArgumentException(
                    "box is %s, expected one of %s"
                        .formatted(box, calls.stream().map(BoxCall::name).toList())));
    call = calls.get(index);
    gradients = NetworkBoxCalls.of(architecture, state.gradients(), batch).get(index);
    scope = backend.scopes().open();
    tensors =
        new BoxCall.Tensors(
            filled("x", call.inputValues()),
            call.skipValues() == 0 ? null : filled("skip", call.skipValues()),
            filled("y", call.outputValues()),
            filled("dy", call.outputValues()),
            ON_IMAGE.contains(box) ? null : filled("dx", call.inputValues()));
  }

  private Buffer filled(String name, long values) {
    Buffer buffer = backend.scopes().allocate(backend.computeType(), values);
    for (long at = 0; at < values; at += FLOATS_PER_CHUNK) {
      int count = (int) Math.min(FLOATS_PER_CHUNK, values - at);
      backend.upload(DeterministicTensor.input(name + at, count), buffer.slice(at, count));
    }
    return buffer;
  }

  /** Runs the box in evaluation mode. */
  void evaluate() {
    try (var _ = backend.scopes().open()) {
      call.evaluate(backend.boxes(), tensors.x(), tensors.skip(), tensors.y());
      backend.synchronize();
    }
  }

  /** Runs the box in training mode, and its gradient. */
  void train() {
    try (var _ = backend.scopes().open()) {
      call.train(backend.trainingBoxes(), gradients, tensors);
      backend.synchronize();
    }
  }

  /** Floating-point operations of {@link #evaluate}: two for each multiply-add. */
  double evaluationOperations() {
    return 2.0 * call.multiplyAdds();
  }

  /**
   * The same of {@link #train}: the gradients take once more for the input and the weights each.
   */
  double trainingOperations() {
    return evaluationOperations() * (tensors.dx() == null ? 2 : 3);
  }

  /** Bytes that {@link #evaluate} cannot but read and write once. */
  double evaluationBytes() {
    return Float.BYTES * (double) (call.inputValues() + call.skipValues() + call.outputValues())
        + parameterBytes();
  }

  /** The same of {@link #train}, whose second half reads input and parameters again. */
  double trainingBytes() {
    long dx = tensors.dx() == null ? 0 : call.inputValues();
    return evaluationBytes()
        + Float.BYTES * (double) (call.inputValues() + call.outputValues() + dx)
        + 3 * parameterBytes(); // their values, and their gradients, which are added to
  }

  private double parameterBytes() {
    return Float.BYTES
        * (double) call.parameterBuffers().stream().mapToLong(Buffer::elements).sum();
  }

  @Override
  public void close() {
    scope.close();
    state.close();
    backend.close();
  }
}
