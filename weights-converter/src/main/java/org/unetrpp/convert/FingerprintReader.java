package org.unetrpp.convert;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.unetrpp.dataset.Fingerprint;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.pipeline.IntensityStatistics;

/**
 * Picks the fingerprint of a data set out of {@code dataset_properties}.
 *
 * @param values of the file
 */
record FingerprintReader(PickledValues values) {
  private static final String INTENSITIES = "intensityproperties";

  /**
   * The whole fingerprint.
   *
   * @throws InvalidFileException if a part is missing or not what it should be
   */
  Fingerprint read(PyValue.Dict properties) throws InvalidFileException {
    int channels =
        values.dict(values.require(properties, "modalities"), "modalities").values().size();
    List<Extents> sizes = new ArrayList<>();
    for (PyValue size : values.list(values.require(properties, "all_sizes"), "all_sizes")) {
      sizes.add(Extents.of(values.wholeAxes(size, "all_sizes")));
    }
    List<Spacing> spacings = new ArrayList<>();
    for (PyValue spacing :
        values.list(values.require(properties, "all_spacings"), "all_spacings")) {
      spacings.add(Spacing.of(values.axes(spacing, "all_spacings")));
    }
    List<Double> reductions = new ArrayList<>();
    String name = "size_reductions";
    for (PyValue reduction :
        values.dict(values.require(properties, name), name).values().values()) {
      reductions.add(values.real(reduction, name));
    }
    List<Optional<IntensityStatistics>> statistics = new ArrayList<>();
    List<TrainingPlan.Intensities> recorded = intensities(properties, channels);
    List<String> names = values.texts(properties, "modalities", channels);
    for (int channel = 0; channel < channels; channel++) {
      statistics.add(
          Fingerprint.isCt(names.get(channel)) && !recorded.isEmpty()
              ? Optional.of(statistics(recorded.get(channel)))
              : Optional.empty());
    }
    try {
      return new Fingerprint(names, sizes, spacings, reductions, statistics);
    } catch (IllegalArgumentException e) {
      throw new InvalidFileException(values.path(), String.valueOf(e.getMessage()), e);
    }
  }

  private IntensityStatistics statistics(TrainingPlan.Intensities recorded)
      throws InvalidFileException {
    try {
      return Preparation.statistics(recorded);
    } catch (IllegalArgumentException e) {
      throw new InvalidFileException(values.path(), INTENSITIES + ": " + e.getMessage(), e);
    }
  }

  /** The intensities of each channel; none if they are not recorded. */
  List<TrainingPlan.Intensities> intensities(PyValue.Dict properties, int channels)
      throws InvalidFileException {
    List<TrainingPlan.Intensities> intensities = new ArrayList<>();
    if (properties.get(INTENSITIES).orElse(PyValue.None.NONE) == PyValue.None.NONE) {
      return intensities;
    }
    for (PyValue value : values.perChannel(properties, INTENSITIES, channels)) {
      String place = INTENSITIES + "/" + intensities.size();
      PyValue.Dict one = values.dict(value, place);
      intensities.add(
          new TrainingPlan.Intensities(
              number(one, place, "mean"),
              number(one, place, "sd"),
              number(one, place, "percentile_00_5"),
              number(one, place, "percentile_99_5")));
    }
    return intensities;
  }

  private double number(PyValue.Dict dict, String place, String key) throws InvalidFileException {
    return values.real(values.require(dict, key), place + "/" + key);
  }
}
