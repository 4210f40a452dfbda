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
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.backend.cuda.driver.TimedDriver;
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
  private final List<Captured> captured = new ArrayList<>();
  private int passes;

  /** A pass recorded once, and where it leaves its logits. */
  private record Captured(CudaDriver.Graph graph, Tensor logits, MemoryScope scope) {}

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
      case "graph" -> {
        TimedDriver driver =
            device
                .driver()
                .orElseThrow(() -> new IllegalArgumentException("the CPU has no graphs"));
        capture(driver);
        CudaDriver.Stream stream = OpenDevice.stream(driver);
        yield () -> driver.launch(captured.get(passes++ % INPUTS).graph, stream);
      }
      default -> throw new IllegalArgumentException("mode is " + mode);
    };
  }

  /** Records a pass over each input, once. */
  @SuppressWarnings("MustBeClosedChecker") // the logits live as long as the graphs
  private void capture(TimedDriver driver) {
    CudaDriver.Stream stream = OpenDevice.stream(driver);
    for (int i = captured.size(); i < INPUTS; i++) {
      // Leaves all memory of a pass in the pool, since none may be allocated while one is recorded.
      try (var _ = backend.scopes().open()) {
        network.forward(images.get(i), HeadOutput.LOGITS);
      }
      backend.synchronize();
      MemoryScope kept = backend.scopes().open();
      try {
        captured.add(record(driver, stream, images.get(i), kept));
      } catch (RuntimeException e) {
        kept.close();
        throw e;
      }
    }
  }

  /** The stream is ready for other work again, also if this fails. */
  private Captured record(
      TimedDriver driver, CudaDriver.Stream stream, Tensor image, MemoryScope kept) {
    driver.beginCapture(stream);
    Tensor logits;
    try {
      logits = network.forward(image, HeadOutput.LOGITS);
    } catch (RuntimeException e) {
      try {
        driver.destroy(driver.endCapture(stream));
      } catch (RuntimeException incomplete) {
        e.addSuppressed(incomplete);
      }
      throw e;
    }
    return new Captured(driver.endCapture(stream), logits, kept);
  }

  /**
   * Writes the logits of the first input as float32 to {@code file}, if it is given, and compares
   * their bytes in two runs, and in a run of a graph where {@code graph} is set.
   */
  @Override
  public JsonObject check(Request request) throws IOException {
    float[] logits = logits();
    JsonArray stream = new JsonArray();
    stream.add(Digests.of(logits));
    stream.add(Digests.of(logits()));
    JsonObject result = new JsonObject();
    result.add("stream_sha256", stream);
    if (request.flag("graph")) {
      Runnable graph = work("graph");
      passes = 0;
      graph.run();
      backend.synchronize();
      result.addProperty("graph_sha256", Digests.of(captured.getFirst().logits.toArray()));
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
    for (Captured pass : captured.reversed()) {
      device.driver().ifPresent(driver -> driver.destroy(pass.graph));
      pass.scope.close();
    }
    parameters.close();
    scope.close();
    device.close();
  }
}
