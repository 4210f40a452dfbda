package org.unetrpp.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.util.List;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.inference.ModelDescription;
import org.unetrpp.inference.Provenance;
import org.unetrpp.pipeline.ChannelPlan;

/**
 * What the users of a built-in model should know of it: on whose images it works, on what terms.
 */
final class ModelIntroduction {
  private ModelIntroduction() {}

  /** In a line for people. */
  static String text(String name, ModelDescription model) {
    List<String> channels =
        model.preprocessing().channels().stream().map(ChannelPlan::name).toList();
    StringBuilder text =
        new StringBuilder(
            "built-in model %s: segments %s in %s"
                .formatted(
                    name, String.join(", ", foreground(model)), String.join(", ", channels)));
    Provenance provenance = model.provenance();
    if (!provenance.note().isEmpty()) {
      text.append("; ").append(provenance.note());
    }
    Provenance.Attribution attribution = provenance.attribution();
    if (attribution != null) {
      text.append("; trained on ").append(attribution.trainingData());
      text.append(", license ").append(attribution.license());
    }
    return text.toString();
  }

  /** In fields for programs. */
  static JsonObject fields(String name, ModelDescription model) {
    JsonObject fields = new JsonObject();
    fields.addProperty("model", name);
    JsonArray segments = new JsonArray();
    foreground(model).forEach(segments::add);
    fields.add("segments", segments);
    Provenance provenance = model.provenance();
    fields.addProperty("note", provenance.note());
    Provenance.Attribution attribution = provenance.attribution();
    if (attribution != null) {
      fields.addProperty("license", attribution.license());
      fields.addProperty("trainingData", attribution.trainingData());
      fields.addProperty("citation", attribution.citation());
    }
    return fields;
  }

  private static List<String> foreground(ModelDescription model) {
    return model.labels().stream()
        .filter(label -> label.value() != 0)
        .map(LabelClass::name)
        .toList();
  }
}
