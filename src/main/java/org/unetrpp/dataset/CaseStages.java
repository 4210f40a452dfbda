package org.unetrpp.dataset;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.util.List;
import org.unetrpp.pipeline.LabeledCase;
import org.unetrpp.pipeline.MultiChannelImage;
import org.unetrpp.pipeline.PipelineStage;
import org.unetrpp.pipeline.PipelineStage.Layer;
import org.unetrpp.pipeline.Preprocessing;
import org.unetrpp.pipeline.StageGrid;
import org.unetrpp.pipeline.StageListener;
import org.unetrpp.pipeline.Workers;

/** Prepares a training case stage by stage, as {@link PreparedDataset} does at once. */
public final class CaseStages {
  /** How many of the locations of a class are told. */
  private static final int SHOWN = 10;

  private CaseStages() {}

  /**
   * Prepares a case and hands its stages to a listener.
   *
   * @throws org.unetrpp.files.InvalidFileException if the case's files are not what they should be
   */
  public static void run(
      DatasetCase files, PreparedDataset.Recipe recipe, StageListener listener, Workers workers)
      throws IOException {
    MultiChannelImage image =
        PreparedDataset.image(files, recipe.preprocessing().channels().size());
    short[] classes = PreparedDataset.classes(files.label(), image, recipe.labelValues());
    StageGrid[] last = new StageGrid[1];
    LabeledCase prepared =
        Preprocessing.runLabeled(
            image,
            classes,
            recipe.preprocessing(),
            stage -> {
              last[0] = stage.grid();
              listener.accept(stage);
            },
            workers);
    List<int[]> locations = ClassLocations.of(prepared.labels(), recipe.labelValues());
    listener.accept(
        new PipelineStage(
            PipelineStage.Name.LOCATIONS,
            last[0],
            List.of(Layer.ofLabels(marked(locations, prepared.labels().length))),
            parameters(locations, prepared.labels(), recipe.labelValues())));
  }

  /** The class at each voxel that was drawn, 0 elsewhere. */
  private static short[] marked(List<int[]> locations, int voxels) {
    short[] marked = new short[voxels];
    for (int label = 1; label <= locations.size(); label++) {
      for (int voxel : locations.get(label - 1)) {
        marked[voxel] = (short) label;
      }
    }
    return marked;
  }

  private static JsonObject parameters(
      List<int[]> locations, short[] labels, List<Integer> labelValues) {
    int[] counts = new int[labelValues.size()];
    for (short label : labels) {
      counts[Math.max(label, 0)]++;
    }
    JsonArray classes = new JsonArray();
    for (int label = 1; label < counts.length; label++) {
      int[] drawn = locations.get(label - 1);
      JsonArray first = new JsonArray();
      for (int i = 0; i < Math.min(SHOWN, drawn.length); i++) {
        first.add(drawn[i]);
      }
      JsonObject one = new JsonObject();
      one.addProperty("label", labelValues.get(label));
      one.addProperty("voxels", counts[label]);
      one.addProperty("drawn", drawn.length);
      one.add("first", first);
      classes.add(one);
    }
    JsonObject parameters = new JsonObject();
    parameters.addProperty("seed", ClassLocations.SEED);
    parameters.add("classes", classes);
    return parameters;
  }
}
