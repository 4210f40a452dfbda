package org.unetrpp.bench;

import java.lang.foreign.MemorySegment;
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
import org.unetrpp.benchmark.ForwardPass;
import org.unetrpp.engine.Device;
import org.unetrpp.memory.DType;

/** A forward pass of one patch in fp32 on the CPU, image in, logits out. */
@State(Scope.Thread)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 5)
@Measurement(iterations = 15)
@Fork(value = 1, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class ForwardBenchmark {
  @Param({"synapse", "acdc", "lung", "tumor"})
  public String variant = "synapse";

  @Param("2")
  public int threads;

  private @Nullable ForwardPass forward;

  @Setup(Level.Trial)
  @SuppressWarnings("MustBeClosedChecker") // close closes it
  public void open() {
    forward =
        new ForwardPass(BenchmarkNetwork.of(variant), new Device.Cpu(), threads, DType.FLOAT32);
  }

  @TearDown(Level.Trial)
  public void close() {
    Objects.requireNonNull(forward).close();
  }

  @Benchmark
  public MemorySegment forward() {
    ForwardPass pass = Objects.requireNonNull(forward);
    pass.run();
    return pass.logits();
  }
}
