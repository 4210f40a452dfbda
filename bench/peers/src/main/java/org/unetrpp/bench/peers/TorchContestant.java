package org.unetrpp.bench.peers;

import ai.djl.Device;
import ai.djl.MalformedModelException;
import ai.djl.Model;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.jni.JniUtils;
import ai.djl.training.ParameterStore;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/** PyTorch running a frozen TorchScript file through DJL, without gradients. */
final class TorchContestant implements Contestant {
  private static final String ENGINE = "PyTorch";

  private final Arena arena = Arena.ofShared(); // arrays made of direct buffers share their memory
  private final Model model;
  private final NDManager manager;
  private final ParameterStore parameters;
  private final NDList input;
  private final NpyFile expected;
  private @Nullable NDList output;

  private TorchContestant(Setup setup) throws IOException, MalformedModelException {
    System.setProperty("ai.djl.offline", "true");
    System.setProperty("OPT_OUT_TRACKING", "true");
    System.setProperty("DJL_CACHE_DIR", setup.natives().toString());
    System.setProperty("ai.djl.pytorch.num_threads", Integer.toString(setup.threads()));
    System.setProperty("ai.djl.pytorch.num_interop_threads", "1");
    model = Model.newInstance(setup.variant(), Device.cpu(), ENGINE);
    model.load(setup.exports(), setup.variant());
    JniUtils.setGradMode(false);
    manager = model.getNDManager().newSubManager();
    parameters = new ParameterStore(manager, false);
    expected = setup.expectedLogits();
    NpyFile patch = setup.input();
    NDArray array =
        manager.create(
            patch.read(arena).asByteBuffer().order(ByteOrder.nativeOrder()),
            new Shape(patch.extents()),
            DataType.FLOAT32);
    input = new NDList(array);
  }

  static Contestant open(Setup setup) {
    try {
      return new TorchContestant(setup);
    } catch (IOException | MalformedModelException e) {
      throw new IllegalStateException(
          "%s: PyTorch cannot open %s.pt".formatted(setup.exports(), setup.variant()), e);
    }
  }

  @Override
  public String version() {
    return "libtorch %s through DJL %s"
        .formatted(Engine.getEngine(ENGINE).getVersion(), Engine.getDjlVersion());
  }

  @Override
  public void pass() {
    if (output != null) {
      output.close();
    }
    output = model.getBlock().forward(parameters, input, false);
  }

  @Override
  public NpyFile.Deviation deviation() {
    if (output == null) {
      throw new IllegalStateException("logits asked for before the first pass");
    }
    return expected.deviation(MemorySegment.ofBuffer(output.singletonOrThrow().toByteBuffer()));
  }

  @Override
  public void close() {
    if (output != null) {
      output.close();
    }
    manager.close();
    model.close();
    arena.close();
  }
}
