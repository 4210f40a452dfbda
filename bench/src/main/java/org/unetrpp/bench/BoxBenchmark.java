package org.unetrpp.bench;

import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.AuxCounters;
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

/**
 * Each box of a network at its real shape, in evaluation mode, and in training mode with its
 * gradient; boxes of the same shape once. Weights stay as they are, so they are packed once, unlike
 * in a training step. {@link BoxTable} makes a table of the results, with the share of peak.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 1, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class BoxBenchmark {
  @Param({"synapse", "acdc", "lung", "tumor"})
  public String variant = "synapse";

  /** Of the second residual block of {@code acdc} and {@code lung} see {@code ...conv52}. */
  @Param({
    "unetr_pp_encoder.downsample_layers.0",
    "unetr_pp_encoder.downsample_layers.1",
    "unetr_pp_encoder.downsample_layers.2",
    "unetr_pp_encoder.downsample_layers.3",
    "unetr_pp_encoder.stages.0.0",
    "unetr_pp_encoder.stages.1.0",
    "unetr_pp_encoder.stages.2.0",
    "unetr_pp_encoder.stages.3.0",
    "unetr_pp_encoder.stages.0.0.conv51",
    "unetr_pp_encoder.stages.1.0.conv51",
    "unetr_pp_encoder.stages.2.0.conv51",
    "unetr_pp_encoder.stages.3.0.conv51",
    "decoder5.transp_conv.conv",
    "decoder4.transp_conv.conv",
    "decoder3.transp_conv.conv",
    "decoder2.transp_conv.conv",
    "encoder1",
    "decoder2.decoder_block.0",
    "out1.conv.conv",
    "out2.conv.conv",
    "out3.conv.conv"
  })
  public String box = "encoder1";

  @Param("1")
  public int batch;

  @Param("2")
  public int threads;

  private @Nullable BoxRun run;

  /** Counts what was done, so that JMH gives it by second. */
  @AuxCounters
  @State(Scope.Thread)
  public static class Work {
    private static final double GIGA = 1e9;

    public double gigaFlop;
    public double gigaByte;

    @Setup(Level.Iteration)
    public void begin() {
      gigaFlop = 0;
      gigaByte = 0;
    }

    void add(double operations, double bytes) {
      gigaFlop += operations / GIGA;
      gigaByte += bytes / GIGA;
    }
  }

  @Setup(Level.Trial)
  @SuppressWarnings("MustBeClosedChecker") // close closes it
  public void open() {
    run = new BoxRun(BenchmarkNetwork.of(variant), box, batch, threads);
  }

  @TearDown(Level.Trial)
  public void close() {
    Objects.requireNonNull(run).close();
  }

  @Benchmark
  public void evaluation(Work work) {
    BoxRun opened = Objects.requireNonNull(run);
    opened.evaluate();
    work.add(opened.evaluationOperations(), opened.evaluationBytes());
  }

  @Benchmark
  public void training(Work work) {
    BoxRun opened = Objects.requireNonNull(run);
    opened.train();
    work.add(opened.trainingOperations(), opened.trainingBytes());
  }
}
