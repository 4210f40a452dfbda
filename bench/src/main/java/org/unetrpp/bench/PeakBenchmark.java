package org.unetrpp.bench;

import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.MatrixView;
import org.unetrpp.engine.Device;
import org.unetrpp.engine.Engine;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.MemoryScope;
import org.unetrpp.nn.DeterministicTensor;

/**
 * What this machine can do at best, as far as programs reach it: arithmetic by a large product of
 * square matrices in oneDNN, memory by an addition of tensors that no cache holds. Boxes are
 * measured against these.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 1, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class PeakBenchmark {
  @Param("2")
  public int threads;

  @Param("1536")
  public int edge;

  /** Values of each of three tensors. */
  @Param("33554432")
  public int values;

  private @Nullable Machine machine;

  @Setup(Level.Trial)
  @SuppressWarnings("MustBeClosedChecker") // close closes it
  public void open() {
    machine = new Machine(threads, edge, values);
  }

  @TearDown(Level.Trial)
  public void close() {
    Objects.requireNonNull(machine).close();
  }

  @Benchmark
  public void arithmetic(BoxBenchmark.Work work) {
    Objects.requireNonNull(machine).multiply();
    work.add(2.0 * edge * edge * edge, 3.0 * Float.BYTES * edge * edge);
  }

  @Benchmark
  public void memory(BoxBenchmark.Work work) {
    Objects.requireNonNull(machine).add();
    work.add(values, 3.0 * Float.BYTES * values);
  }

  /** Matrices and tensors on the CPU. */
  private static final class Machine implements AutoCloseable {
    private final Backend backend;
    private final MemoryScope scope;
    private final MatrixView a;
    private final MatrixView b;
    private final MatrixView c;
    private final Buffer x;
    private final Buffer y;
    private final Buffer sum;

    @SuppressWarnings("MustBeClosedChecker") // close closes them
    Machine(int threads, int edge, int values) {
      backend = Engine.open(new Device.Cpu(), threads);
      scope = backend.scopes().open();
      a = matrix(edge, "a");
      b = matrix(edge, "b");
      c = matrix(edge, "c");
      x = tensor(values, "x");
      y = tensor(values, "y");
      sum = tensor(values, "sum");
    }

    private MatrixView matrix(int edge, String name) {
      return MatrixView.of(tensor(edge * edge, name), edge);
    }

    private Buffer tensor(int values, String name) {
      Buffer buffer = backend.scopes().allocate(DType.FLOAT32, values);
      backend.upload(DeterministicTensor.input(name, values), buffer);
      return buffer;
    }

    void multiply() {
      backend.matrixProduct(a, false, b, false, c, false);
      backend.synchronize();
    }

    void add() {
      backend.add(x, y, sum);
      backend.synchronize();
    }

    @Override
    public void close() {
      scope.close();
      backend.close();
    }
  }
}
