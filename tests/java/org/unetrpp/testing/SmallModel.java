package org.unetrpp.testing;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.Spacing;
import org.unetrpp.image.Volume;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.inference.ModelDescription;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.inference.Provenance;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.Fusion;
import org.unetrpp.model.StateEntry;
import org.unetrpp.model.StateLayout;
import org.unetrpp.model.TokenProjection;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.pipeline.AxisOrder;
import org.unetrpp.pipeline.ChannelPlan;
import org.unetrpp.pipeline.IntensityStatistics;
import org.unetrpp.pipeline.NormalizationScheme;
import org.unetrpp.pipeline.PreprocessingPlan;
import org.unetrpp.pipeline.SplineRule;
import org.unetrpp.weights.StoredTensor;
import org.unetrpp.weights.StoredType;

/** A network of the smallest sizes, with deterministic weights, as a model file. */
public final class SmallModel {
  /** The patch of the network. */
  public static final Extents PATCH = new Extents(16, 32, 32);

  /** Of the model of {@link #writeWithAttribution}. */
  public static final Provenance.Attribution ATTRIBUTION =
      new Provenance.Attribution("CC0-1.0", "noise", "Nobody et al. 2026");

  private SmallModel() {}

  /** Three classes on patches of {@link #PATCH}. */
  public static Architecture architecture(int channels) {
    return new Architecture(
        channels,
        3,
        PATCH,
        new Extents(2, 4, 4),
        List.of(Extents.cube(2), Extents.cube(2), Extents.cube(2)),
        List.of(8, 16, 32, 64),
        List.of(1, 1, 1, 1),
        1,
        List.of(16, 8, 4, 1),
        16,
        4,
        4,
        TokenProjection.SHARED_LINEAR,
        Fusion.CONCATENATE,
        1,
        0.15,
        0.1);
  }

  /** Labels 0, 2 and 7; channel 0 is normalized as CT, others within their mask. */
  public static ModelDescription description(int channels) {
    return new ModelDescription(
        architecture(channels),
        List.of(
            new LabelClass(0, "background", "#000000"),
            new LabelClass(2, "liver", "#aa0000"),
            new LabelClass(7, "spleen", "#00bb00")),
        new PreprocessingPlan(
            List.of(channel(0), channel(1)).subList(0, channels),
            new Spacing(1.25, 1, 1),
            AxisOrder.IDENTITY,
            SplineRule.PINNED),
        new Provenance(
            "test", List.of(new Provenance.Source("made.pth", "0".repeat(64))), "made for a test"));
  }

  private static ChannelPlan channel(int index) {
    return index == 0
        ? new ChannelPlan(
            "CT", NormalizationScheme.CT, false, new IntensityStatistics(100, 30, 20, 180))
        : new ChannelPlan("T1w", NormalizationScheme.NON_CT, true, null);
  }

  /** The same for one channel whose images keep their own spacing and are no CT. */
  public static ModelDescription descriptionAtOwnSpacing() {
    ModelDescription description = description(1);
    return new ModelDescription(
        description.architecture(),
        description.labels(),
        new PreprocessingPlan(
            List.of(new ChannelPlan("MRI", NormalizationScheme.NON_CT, false, null)),
            null,
            AxisOrder.IDENTITY,
            SplineRule.PINNED),
        description.provenance());
  }

  /** Every tensor that a model file needs, deep supervision heads included. */
  public static List<StoredTensor> tensors(Architecture architecture) {
    return StateLayout.of(architecture).stream()
        .filter(entry -> entry.aliasOf() == null && entry.role() != StateEntry.Role.COUNTER)
        .map(entry ->
            StoredTensor.ofFloats(
                entry.name(),
                entry.shape().stream().map(Integer::longValue).toList(),
                values(entry)))
        .toList();
  }

  /** Deterministic values; those of the head sum to 0, so that no class wins everywhere. */
  private static float[] values(StateEntry entry) {
    float[] values = DeterministicTensor.ofState(entry.name(), entry.shape());
    if (entry.name().equals("out1.conv.conv.bias")) {
      return new float[values.length];
    }
    if (entry.name().equals("out1.conv.conv.weight")) {
      int features = entry.shape().get(1);
      for (int first = 0; first < values.length; first += features) {
        float mean = 0;
        for (int i = first; i < first + features; i++) {
          mean += values[i] / features;
        }
        for (int i = first; i < first + features; i++) {
          values[i] -= mean;
        }
      }
    }
    return values;
  }

  /** Writes the model of {@link #description} in float32 and returns its path. */
  public static Path write(Path target, int channels) throws IOException {
    return write(target, description(channels));
  }

  /** Writes the model of {@link #descriptionAtOwnSpacing} in float32 and returns its path. */
  public static Path writeAtOwnSpacing(Path target) throws IOException {
    return write(target, descriptionAtOwnSpacing());
  }

  /** Writes the model of {@link #description} for one channel, which owes something to others. */
  public static Path writeWithAttribution(Path target) throws IOException {
    ModelDescription description = description(1);
    Provenance plain = description.provenance();
    return write(
        target,
        new ModelDescription(
            description.architecture(),
            description.labels(),
            description.preprocessing(),
            new Provenance(plain.producer(), plain.sources(), plain.note(), ATTRIBUTION)));
  }

  /** Writes a model that differs from that of {@link #write} for one channel in its weights. */
  public static Path writeOther(Path target) throws IOException {
    ModelDescription description = description(1);
    List<StoredTensor> tensors =
        tensors(description.architecture()).stream()
            .map(tensor ->
                tensor.name().equals("out1.conv.conv.weight")
                    ? StoredTensor.ofFloats(
                        tensor.name(), tensor.shape(), negated(tensor.toFloats()))
                    : tensor)
            .toList();
    ModelFile.write(target, description, tensors, StoredType.FLOAT32);
    return target;
  }

  private static float[] negated(float[] values) {
    for (int i = 0; i < values.length; i++) {
      values[i] = -values[i];
    }
    return values;
  }

  private static Path write(Path target, ModelDescription description) throws IOException {
    List<StoredTensor> tensors = tensors(description.architecture());
    ModelFile.write(target, description, tensors, StoredType.FLOAT32);
    return target;
  }

  /** An image of noise around 100 whose outermost voxels are 0, at a spacing of 1.5 x 1 x 1 mm. */
  public static Volume image(String name, int depth, int height, int width) {
    Extents extents = new Extents(depth, height, width);
    float[] voxels = DeterministicTensor.values(name, Math.toIntExact(extents.voxels()), 100, 60);
    int voxel = 0;
    for (int d = 0; d < depth; d++) {
      for (int h = 0; h < height; h++) {
        for (int w = 0; w < width; w++) {
          if (h == 0 || w == 0 || h == height - 1 || w == width - 1) {
            voxels[voxel] = 0;
          }
          voxel++;
        }
      }
    }
    return new Volume(new Geometry(extents, Affine.ofSpacing(new Spacing(1.5, 1, 1))), voxels);
  }
}
