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
import org.unetrpp.benchmark.TrainingStep;
import org.unetrpp.engine.Device;
import org.unetrpp.memory.DType;
import org.unetrpp.training.StepReport;

/**
 * A training step in fp32 on the CPU with the batch of the published recipe: forward, loss of three
 * heads, backward, clipping, SGD.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 2)
@Measurement(iterations = 5)
@Fork(value = 1, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class TrainingStepBenchmark {
  @Param({"synapse", "acdc", "lung", "tumor"})
  public String variant = "synapse";

  @Param("2")
  public int threads;

  private @Nullable TrainingStep step;

  @Setup(Level.Trial)
  @SuppressWarnings("MustBeClosedChecker") // close closes it
  public void open() {
    step =
        new TrainingStep(
            BenchmarkNetwork.of(variant),
            BenchmarkNetwork.batchSize(variant),
            new Device.Cpu(),
            threads,
            DType.FLOAT32);
  }

  @TearDown(Level.Trial)
  public void close() {
    Objects.requireNonNull(step).close();
  }

  @Benchmark
  public StepReport step() {
    return Objects.requireNonNull(step).run();
  }
}
