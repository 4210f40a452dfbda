package org.unetrpp.pipeline;

import com.google.gson.JsonObject;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;
import org.unetrpp.grid.Extents;

/**
 * A case at one stage of the pipeline, as a whole.
 *
 * @param name which stage
 * @param grid where its voxels lie
 * @param layers its volumes, one or more
 * @param parameters what the stage was made by
 */
public record PipelineStage(Name name, StageGrid grid, List<Layer> layers, JsonObject parameters) {
  /** The stages in their order; a case goes through some of them. */
  public enum Name {
    /** The channels, and labels if there are, as they were read. */
    READ("01-read"),
    /** Cropped to what is not zero. */
    CROP("02-crop"),
    /** In the network's order of axes, NaN made 0. */
    TRANSPOSED("03-transposed"),
    /** At the network's spacing. */
    RESAMPLED("04-resampled"),
    /** What the network sees, and what a published preprocessed file holds. */
    NORMALIZED("05-normalized"),
    /** Padded to at least a patch: what windows are cut out of. */
    PADDED("06-padded"),
    /** The voxels of each class that patches with foreground are drawn from; training only. */
    LOCATIONS("06-locations"),
    /** Averaged over windows and mirrorings, without the padding. */
    PROBABILITIES("07-probabilities"),
    /** The class of the greatest probability, resampled back to the cropped image. */
    ARGMAX("08-argmax"),
    /** On the grid of the image, with the values of label files. */
    LABELS("09-labels");

    private final String text;

    Name(String text) {
      this.text = text;
    }

    @Override
    public String toString() {
      return text;
    }
  }

  /**
   * A volume of a stage.
   *
   * @param name among the volumes of the stage
   * @param whole whether its values are whole numbers, from -1 to 255
   * @param voxels makes its values (D, H, W), width fastest
   */
  public record Layer(String name, boolean whole, Supplier<float[]> voxels) {
    /** Name of the layer of labels. */
    public static final String LABEL = "label";

    /** A channel of an image. */
    public static Layer ofChannel(int channel, float[] voxels) {
      return new Layer(numbered(channel), false, () -> voxels);
    }

    /** Labels. */
    public static Layer ofLabels(short[] labels) {
      return new Layer(
          LABEL,
          true,
          () -> {
            float[] values = new float[labels.length];
            for (int voxel = 0; voxel < values.length; voxel++) {
              values[voxel] = labels[voxel];
            }
            return values;
          });
    }

    /** Labels from 0 to 255. */
    public static Layer ofLabels(byte[] labels) {
      return new Layer(
          LABEL,
          true,
          () -> {
            float[] values = new float[labels.length];
            for (int voxel = 0; voxel < values.length; voxel++) {
              values[voxel] = Byte.toUnsignedInt(labels[voxel]);
            }
            return values;
          });
    }

    /** The name of a channel or class. */
    public static String numbered(int number) {
      return String.format(Locale.ROOT, "%04d", number);
    }
  }

  public PipelineStage {
    layers = List.copyOf(layers);
  }

  /** The labels that come out, on the grid of the image. */
  public static PipelineStage ofLabels(byte[] labels, Extents image, List<Integer> labelValues) {
    return new PipelineStage(
        Name.LABELS,
        StageGrid.whole(image),
        List.of(Layer.ofLabels(labels)),
        new StageParameters().with("shape", image).with("labelValues", labelValues).json());
  }
}
