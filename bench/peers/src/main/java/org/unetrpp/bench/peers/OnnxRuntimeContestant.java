package org.unetrpp.bench.peers;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.OrtSession.SessionOptions;
import ai.onnxruntime.OrtSession.SessionOptions.OptLevel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Map;

/** ONNX Runtime's CPU provider; input and logits stay in memory that outlives the passes. */
final class OnnxRuntimeContestant implements Contestant {
  private final Arena arena = Arena.ofShared();
  private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
  private final OrtSession session;
  private final OnnxTensor input;
  private final OnnxTensor output;
  private final MemorySegment logits;
  private final NpyFile expected;
  private boolean computed;

  private OnnxRuntimeContestant(Setup setup) throws OrtException {
    NpyFile patch = setup.input();
    expected = setup.expectedLogits();
    try (SessionOptions options = new SessionOptions()) {
      options.setIntraOpNumThreads(setup.threads());
      options.setOptimizationLevel(OptLevel.ALL_OPT);
      options.setCPUArenaAllocator(true);
      options.setMemoryPatternOptimization(true);
      session = environment.createSession(setup.onnx().toString(), options);
    }
    logits = arena.allocate(expected.bytes(), ValueLayout.JAVA_FLOAT.byteSize());
    input = OnnxTensor.createTensor(environment, floats(patch.read(arena)), patch.extents());
    output = OnnxTensor.createTensor(environment, floats(logits), expected.extents());
  }

  static Contestant open(Setup setup) {
    try {
      return new OnnxRuntimeContestant(setup);
    } catch (OrtException e) {
      throw new IllegalStateException(setup.onnx() + ": ONNX Runtime cannot open it", e);
    }
  }

  @Override
  public String version() {
    return "ONNX Runtime " + environment.getVersion();
  }

  @Override
  public void pass() {
    try (OrtSession.Result _ = session.run(Map.of("input", input), Map.of("logits", output))) {
      computed = true;
    } catch (OrtException e) {
      throw new IllegalStateException("ONNX Runtime failed in a forward pass", e);
    }
  }

  @Override
  public NpyFile.Deviation deviation() {
    if (!computed) {
      throw new IllegalStateException("logits asked for before the first pass");
    }
    return expected.deviation(logits);
  }

  @Override
  public void close() {
    output.close();
    input.close();
    try {
      session.close();
    } catch (OrtException e) {
      throw new IllegalStateException("ONNX Runtime cannot close its session", e);
    }
    arena.close();
  }

  private static FloatBuffer floats(MemorySegment segment) {
    return segment.asByteBuffer().order(ByteOrder.nativeOrder()).asFloatBuffer();
  }
}
