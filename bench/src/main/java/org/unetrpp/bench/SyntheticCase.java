package org.unetrpp.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.Nifti;
import org.unetrpp.image.NiftiHeader;
import org.unetrpp.image.Spacing;
import org.unetrpp.image.Volume;
import org.unetrpp.image.VoxelType;
import org.unetrpp.model.Architecture;
import org.unetrpp.pipeline.AxisOrder;
import org.unetrpp.pipeline.ChannelPlan;
import org.unetrpp.pipeline.IntensityStatistics;
import org.unetrpp.pipeline.NormalizationScheme;
import org.unetrpp.pipeline.PreprocessingPlan;
import org.unetrpp.pipeline.SplineRule;

/**
 * Files to time a whole segmentation with: the Synapse network with deterministic weights and the
 * published preprocessing, and a CT of ellipsoids and noise at 3.0 x 0.8 x 0.8 mm.
 *
 * <pre>java -cp bench/target/benchmarks.jar org.unetrpp.bench.SyntheticCase FOLDER SLICES...</pre>
 */
public final class SyntheticCase {
  private static final int EDGE = 512;
  private static final Spacing SPACING = new Spacing(3.0, 0.8, 0.8);
  private static final Spacing TARGET = new Spacing(3.0, 0.75781244, 0.75781244);
  private static final IntensityStatistics INTENSITIES =
      new IntensityStatistics(82.95177, 136.94818, -958, 326);

  private SyntheticCase() {}

  /** Writes {@code synapse.safetensors} and {@code ctSLICES.nii.gz} for each number of slices. */
  public static void main(String[] args) throws IOException {
    Path folder = Path.of(args[0]);
    Files.createDirectories(folder);
    writeModel(folder.resolve("synapse.safetensors"));
    for (int i = 1; i < args.length; i++) {
      writeImage(folder.resolve("ct" + args[i] + ".nii.gz"), Integer.parseInt(args[i]));
    }
  }

  private static void writeModel(Path target) throws IOException {
    DeterministicModel.write(
        target,
        Architecture.published("synapse").orElseThrow(),
        new PreprocessingPlan(
            List.of(new ChannelPlan("CT", NormalizationScheme.CT, false, INTENSITIES)),
            TARGET,
            AxisOrder.IDENTITY,
            SplineRule.PINNED));
  }

  private static void writeImage(Path target, int slices) throws IOException {
    Extents extents = new Extents(slices, EDGE, EDGE);
    float[] voxels = new float[Math.toIntExact(extents.voxels())];
    IntStream.range(0, slices).parallel().forEach(slice -> fill(voxels, slice));
    Volume volume = new Volume(new Geometry(extents, Affine.ofSpacing(SPACING)), voxels);
    Nifti.writeVolumes(target, List.of(volume), NiftiHeader.of(volume.geometry()), VoxelType.INT16);
  }

  /** Air around a body with organs that move along the depth, and noise of 20 HU all over. */
  private static void fill(float[] voxels, int slice) {
    int state = slice * 0x9E3779B9 + 1;
    int voxel = slice * EDGE * EDGE;
    for (int row = 0; row < EDGE; row++) {
      for (int column = 0; column < EDGE; column++) {
        double y = (row - EDGE / 2.0) / (0.36 * EDGE);
        double x = (column - EDGE / 2.0) / (0.45 * EDGE);
        double hu = -1000;
        if (x * x + y * y < 1) {
          double organ = Math.sin(4 * x + 0.07 * slice) * Math.cos(5 * y - 0.05 * slice);
          hu = organ > 0.5 ? 160 : organ > 0 ? 60 : organ > -0.5 ? -80 : 20;
        }
        state = state * 1664525 + 1013904223;
        voxels[voxel] = (float) Math.rint(hu + (state >> Byte.SIZE) * (20.0 / (1 << 23)));
        voxel++;
      }
    }
  }
}
