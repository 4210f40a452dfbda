package org.unetrpp.inference;

import java.util.List;
import org.unetrpp.model.Architecture;
import org.unetrpp.pipeline.PreprocessingPlan;

/**
 * All that a model file says beside its weights.
 *
 * @param architecture the network
 * @param labels one for each class, background first
 * @param preprocessing what is done to an image before the network sees it
 * @param provenance where the file comes from
 */
public record ModelDescription(
    Architecture architecture,
    List<LabelClass> labels,
    PreprocessingPlan preprocessing,
    Provenance provenance) {
  public ModelDescription {
    labels = List.copyOf(labels);
    if (labels.size() != architecture.classes()) {
      throw new IllegalArgumentException(
          "%d labels for %d classes".formatted(labels.size(), architecture.classes()));
    }
    if (labels.getFirst().value() != 0) {
      throw new IllegalArgumentException(
          "the first label is %s, expected background with value 0".formatted(labels.getFirst()));
    }
    if (labels.stream().map(LabelClass::value).distinct().count() != labels.size()) {
      throw new IllegalArgumentException("two labels have one value: " + labels);
    }
    int channels = preprocessing.channels().size();
    if (channels != architecture.inputChannels()) {
      throw new IllegalArgumentException(
          "preprocessing of %d channels for a network of %d"
              .formatted(channels, architecture.inputChannels()));
    }
  }
}
