package org.unetrpp.bench;

import java.io.IOException;
import java.util.Arrays;
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
import org.unetrpp.engine.Device;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.inference.SegmentationOptions;
import org.unetrpp.memory.DType;
import org.unetrpp.pipeline.Mirroring;
import org.unetrpp.pipeline.SlidingWindow;

/**
 * A whole volume through {@code Segmenter} in fp32 on the CPU, in memory: windows half a patch
 * apart, aggregation, resampling to the same grid, labels. A CT has {@code -p extents=150x512x512}.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 1)
@Measurement(iterations = 3)
@Fork(value = 1, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class VolumeBenchmark {
  private static final double STEP = 0.5;

  @Param("synapse")
  public String variant = "synapse";

  @Param("96x192x192")
  public String extents = "96x192x192";

  @Param({"false", "true"})
  public boolean mirroring;

  @Param("2")
  public int threads;

  private @Nullable VolumeSegmentation volume;

  @Setup(Level.Trial)
  @SuppressWarnings("MustBeClosedChecker") // close closes it
  public void open() throws IOException {
    volume =
        new VolumeSegmentation(
            BenchmarkNetwork.of(variant),
            extents(extents),
            new Device.Cpu(),
            threads,
            DType.FLOAT32);
  }

  private static Extents extents(String text) {
    return Extents.of(Arrays.stream(text.split("x", -1)).mapToInt(Integer::parseInt).toArray());
  }

  @TearDown(Level.Trial)
  public void close() {
    Objects.requireNonNull(volume).close();
  }

  @Benchmark
  public LabelVolume segment() {
    Mirroring mirrored = mirroring ? Mirroring.ALL : Mirroring.NONE;
    return Objects.requireNonNull(volume)
        .run(SegmentationOptions.PUBLISHED.withWindow(new SlidingWindow.Settings(STEP, mirrored)));
  }
}
