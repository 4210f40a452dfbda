package org.unetrpp.bench;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.unetrpp.engine.Device;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Spacing;
import org.unetrpp.image.Volume;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.inference.SegmentationOptions;
import org.unetrpp.inference.Segmenter;
import org.unetrpp.memory.DType;
import org.unetrpp.model.Architecture;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.pipeline.AxisOrder;
import org.unetrpp.pipeline.ChannelPlan;
import org.unetrpp.pipeline.NormalizationScheme;
import org.unetrpp.pipeline.PreprocessingPlan;
import org.unetrpp.pipeline.SplineRule;

/**
 * A volume of noise, at the model's own spacing, and a network with deterministic weights: from the
 * host's memory to its labels there.
 */
public final class VolumeSegmentation implements AutoCloseable {
  private final List<Volume> channels;
  private final Segmenter segmenter;

  /**
   * Opens a device and fills network and volume.
   *
   * @param extents of the volume
   * @param threads of the CPU
   * @param computeType of activations
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // close closes it
  public VolumeSegmentation(
      Architecture architecture, Extents extents, Device device, int threads, DType computeType)
      throws IOException {
    float[] noise = DeterministicTensor.input("volume", Math.toIntExact(extents.voxels()));
    Geometry geometry = new Geometry(extents, Affine.ofSpacing(new Spacing(1, 1, 1)));
    channels =
        IntStream.range(0, architecture.inputChannels())
            .mapToObj(_ -> new Volume(geometry, noise))
            .toList();
    Path model = Files.createTempFile("unetrpp", ".safetensors");
    try {
      write(model, architecture);
      try (ModelFile file = ModelFile.open(model)) {
        segmenter = Segmenter.open(file, device, threads, computeType);
      }
    } finally {
      Files.deleteIfExists(model);
    }
  }

  /** Segments the volume. */
  public LabelVolume run(SegmentationOptions options) {
    return segmenter.segment(channels, options);
  }

  private static void write(Path target, Architecture architecture) throws IOException {
    List<ChannelPlan> plans =
        IntStream.range(0, architecture.inputChannels())
            .mapToObj(i -> new ChannelPlan("MRI " + i, NormalizationScheme.NON_CT, false, null))
            .toList();
    DeterministicModel.write(
        target,
        architecture,
        new PreprocessingPlan(plans, null, AxisOrder.IDENTITY, SplineRule.PINNED));
  }

  @Override
  public void close() {
    segmenter.close();
  }
}
