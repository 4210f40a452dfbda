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

/** A forward pass of one patch in fp32 on two threads, image in, logits out. */
@State(Scope.Thread)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 5)
@Measurement(iterations = 15)
@Fork(1)
public class ForwardBenchmark {
  private static final int THREADS = 2;

  @Param({"synapse", "acdc", "lung", "tumor"})
  public String variant = "synapse";

  private @Nullable ForwardPass forward;

  @Setup(Level.Trial)
  @SuppressWarnings("MustBeClosedChecker") // close closes it
  public void open() {
    forward = new ForwardPass(variant, THREADS);
  }

  @TearDown(Level.Trial)
  public void close() {
    Objects.requireNonNull(forward).close();
  }

  @Benchmark
  public float[] forward() {
    return Objects.requireNonNull(forward).run();
  }
}
