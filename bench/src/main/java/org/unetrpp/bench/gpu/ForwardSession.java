package org.unetrpp.bench.gpu;

import com.google.errorprone.annotations.MustBeClosed;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.Plan;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.MemoryScope;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.NetworkState;
import org.unetrpp.model.UnetrPlusPlus;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.nn.Parameters;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;

/**
 * A network with deterministic weights and several deterministic inputs that are on the device: a
 * pass goes from an input to the logits, which stay there.
 */
final class ForwardSession implements Session {
  private static final int INPUTS = 4;

  private final OpenDevice device;
  private final Backend backend;
  private final MemoryScope scope;
  private final Parameters parameters;
  private final UnetrPlusPlus network;
  private final List<Tensor> images = new ArrayList<>();
  private final List<Plan> plans = new ArrayList<>();
  private int passes;

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // close closes them
  ForwardSession(OpenDevice device, Architecture architecture, int batch) {
    this.device = device;
    backend = device.backend();
    scope = backend.scopes().open();
    parameters = NetworkState.deterministic(backend, architecture);
    network = new UnetrPlusPlus(architecture, parameters);
    Extents patch = architecture.patch();
    Shape shape =
        Shape.of(batch, architecture.inputChannels(), patch.depth(), patch.height(), patch.width());
    for (int i = 0; i < INPUTS; i++) {
      String name = i == 0 ? "input" : "input/" + i;
      float[] values = DeterministicTensor.input(name, Math.toIntExact(shape.elements()));
      images.add(Tensor.of(backend, shape, values));
    }
  }

  @Override
  public OpenDevice device() {
    return device;
  }

  @Override
  public Runnable work(String mode) {
    return switch (mode) {
      case "stream" ->
          () -> {
            try (var _ = backend.scopes().open()) {
              network.forward(images.get(passes++ % INPUTS), HeadOutput.LOGITS);
            }
          };
      case "plan" -> {
        plan();
        yield () -> plans.get(passes++ % INPUTS).run(_ -> {});
      }
      default -> throw new IllegalArgumentException("mode is " + mode);
    };
  }

  /** Plans a pass over each input, once. */
  private void plan() {
    for (Tensor image : images.subList(plans.size(), INPUTS)) {
      plans.add(backend.plan(() -> network.forward(image, HeadOutput.LOGITS).buffer(), List.of()));
    }
  }

  /**
   * Writes the logits of the first input as float32 to {@code file}, if it is given, and compares
   * their bytes in two runs, and in a run of a plan where {@code plan} is set.
   */
  @Override
  public JsonObject check(Request request) throws IOException {
    float[] logits = logits();
    JsonArray stream = new JsonArray();
    stream.add(Digests.of(logits));
    stream.add(Digests.of(logits()));
    JsonObject result = new JsonObject();
    result.add("stream_sha256", stream);
    if (request.flag("plan")) {
      plan();
      plans
          .getFirst()
          .run(planned -> result.addProperty("plan_sha256", Digests.of(backend.download(planned))));
      result.addProperty("arena_bytes", plans.getFirst().arenaBytes());
    }
    String file = request.text("file", "");
    if (!file.isEmpty()) {
      ByteBuffer bytes =
          ByteBuffer.allocate(logits.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
      bytes.asFloatBuffer().put(logits);
      Files.write(Path.of(file), bytes.array());
    }
    return result;
  }

  private float[] logits() {
    try (var _ = backend.scopes().open()) {
      return network.forward(images.getFirst(), HeadOutput.LOGITS).toArray();
    }
  }

  @Override
  public void close() {
    plans.forEach(Plan::close);
    parameters.close();
    scope.close();
    device.close();
  }
}
