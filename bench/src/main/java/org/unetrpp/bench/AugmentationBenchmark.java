package org.unetrpp.bench;

import java.util.Objects;
import java.util.SplittableRandom;
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
import org.openjdk.jmh.annotations.Warmup;
import org.unetrpp.augmentation.AugmentationSettings;
import org.unetrpp.augmentation.Augmenter;
import org.unetrpp.augmentation.Patch;
import org.unetrpp.grid.Extents;

/**
 * One training sample of one channel transformed at random, on one thread: an average over what the
 * published probabilities make cheap (a crop) and expensive (a rotation).
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 2, time = 10)
@Measurement(iterations = 3, time = 20)
@Fork(1)
public class AugmentationBenchmark {
  @Param({"40x56x40", "64x128x128"})
  public String patch = "40x56x40";

  @Param({"false", "true"})
  public boolean sliceWise;

  private @Nullable Sample sample;

  @Setup(Level.Trial)
  public void fill() {
    sample = Sample.of(patch, sliceWise);
  }

  @Benchmark
  public Patch augment() {
    return Objects.requireNonNull(sample).augment();
  }

  /** What is transformed, again and again in other ways. */
  private record Sample(
      Augmenter augmenter, Patch loaderPatch, Extents networkPatch, SplittableRandom random) {
    static Sample of(String text, boolean sliceWise) {
      String[] parts = text.split("x", 3);
      Extents network =
          new Extents(
              Integer.parseInt(parts[0]), Integer.parseInt(parts[1]), Integer.parseInt(parts[2]));
      Augmenter augmenter =
          new Augmenter(AugmentationSettings.published(sliceWise), new boolean[] {false});
      Extents loader = augmenter.loaderExtents(network);
      SplittableRandom random = new SplittableRandom(1);
      int voxels = Math.toIntExact(loader.voxels());
      float[] image = new float[voxels];
      short[] labels = new short[voxels];
      for (int voxel = 0; voxel < voxels; voxel++) {
        image[voxel] = (float) random.nextGaussian();
        labels[voxel] =
            (short) (voxel / loader.width() % 40 < 20 ? 0 : voxel % loader.width() / 30);
      }
      return new Sample(augmenter, new Patch(1, loader, image, labels), network, random);
    }

    Patch augment() {
      return augmenter.apply(loaderPatch, networkPatch, random);
    }
  }
}
