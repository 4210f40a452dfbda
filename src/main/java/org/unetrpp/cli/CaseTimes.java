package org.unetrpp.cli;

import com.google.gson.JsonObject;
import java.util.Locale;
import java.util.StringJoiner;
import org.unetrpp.inference.StageTimes;

/**
 * How long the stages of a case took, in seconds on the clock.
 *
 * @param read the image from its file
 * @param stages from the image to its labels
 * @param write labels, and what else the user wants of them
 */
record CaseTimes(double read, StageTimes stages, double write) {
  /** Voxels that are counted, drawn, compressed and written in a second, or about so. */
  private static final double VOXELS_WRITTEN_PER_SECOND = 40e6;

  /** Times of a case whose results are not there yet. */
  static CaseTimes estimated(double read, StageTimes stages, long voxels) {
    return new CaseTimes(read, stages, voxels / VOXELS_WRITTEN_PER_SECOND);
  }

  double total() {
    return read + stages.total() + write;
  }

  /** A line for people. */
  String text() {
    StringJoiner text = new StringJoiner(", ");
    json()
        .entrySet()
        .forEach(stage -> {
          double seconds = stage.getValue().getAsDouble();
          text.add(
              String.format(
                  Locale.ROOT,
                  "%s %.1f s (%.0f %%)",
                  stage.getKey(),
                  seconds,
                  100 * seconds / total()));
        });
    return text.toString();
  }

  /** Seconds by the name of the stage. */
  JsonObject json() {
    JsonObject json = new JsonObject();
    json.addProperty("read", read);
    json.addProperty("preprocess", stages.preprocess());
    json.addProperty("network", stages.network());
    json.addProperty("aggregate", stages.aggregate());
    json.addProperty("finish", stages.finish());
    json.addProperty("write", write);
    return json;
  }
}
