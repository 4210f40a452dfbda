package org.unetrpp.convert;

import java.math.BigInteger;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.DoubleStream;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;

/** Picks the parts of a {@link TrainingPlan} out of a pickle's value. */
final class TrainingPlanReader {
  private static final int STAGE_ARGUMENT = 5;

  private final Path path;

  TrainingPlanReader(Path path) {
    this.path = path;
  }

  /**
   * The plan of a side file or plans file.
   *
   * @throws InvalidFileException if a part is missing or not what it should be
   */
  TrainingPlan read(PyValue root) throws InvalidFileException {
    PyValue.Dict file = dict(root, "the file");
    boolean isSideFile = file.get("plans").isPresent();
    PyValue.Dict plans = isSideFile ? dict(require(file, "plans"), "plans") : file;
    int stage = isSideFile ? trainedStage(file, plans) : lastStage(plans);
    PyValue.Dict stages = dict(require(plans, "plans_per_stage"), "plans_per_stage");
    String stageName = "plans_per_stage/" + stage;
    PyValue.Dict stagePlan =
        dict(stages.get(stage).orElseThrow(() -> missing(stageName)), stageName);
    int channels = integer(require(plans, "num_modalities"), "num_modalities");
    if (channels < 1 || channels > 1000) {
      throw invalid("num_modalities", Integer.toString(channels), "1 to 1000");
    }
    return new TrainingPlan(
        trainer(file),
        stage,
        texts(plans, "modalities", channels),
        1 + integer(require(plans, "num_classes"), "num_classes"),
        Spacing.of(axes(stagePlan, "current_spacing")),
        Extents.of(whole(stagePlan, "patch_size")),
        Arrays.stream(transposition(plans)).boxed().toList(),
        texts(plans, "normalization_schemes", channels),
        truths(plans, "use_mask_for_norm", channels),
        intensities(plans, channels),
        interpolation(plans));
  }

  private Optional<String> trainer(PyValue.Dict file) {
    return file.get("name")
        .filter(PyValue.Text.class::isInstance)
        .map(name -> ((PyValue.Text) name).value());
  }

  /** The stage among the arguments that the trainer was made with; the last if it says none. */
  private int trainedStage(PyValue.Dict file, PyValue.Dict plans) throws InvalidFileException {
    List<PyValue> arguments = PyValue.parts(require(file, "init"));
    if (arguments.size() <= STAGE_ARGUMENT) {
      throw invalid("init", arguments.size() + " arguments", "a stage as the sixth");
    }
    PyValue stage = arguments.get(STAGE_ARGUMENT);
    return stage == PyValue.None.NONE ? lastStage(plans) : integer(stage, "init/5");
  }

  private int lastStage(PyValue.Dict plans) throws InvalidFileException {
    return integer(require(plans, "num_stages"), "num_stages") - 1;
  }

  private int[] transposition(PyValue.Dict plans) throws InvalidFileException {
    int[] axes = whole(plans, "transpose_forward");
    if (!Arrays.equals(Arrays.stream(axes).sorted().toArray(), new int[] {0, 1, 2})) {
      throw invalid("transpose_forward", Arrays.toString(axes), "an order of 0, 1, 2");
    }
    return axes;
  }

  private List<TrainingPlan.Intensities> intensities(PyValue.Dict plans, int channels)
      throws InvalidFileException {
    PyValue.Dict properties = dict(require(plans, "dataset_properties"), "dataset_properties");
    String name = "intensityproperties";
    PyValue recorded = properties.get(name).orElse(PyValue.None.NONE);
    List<TrainingPlan.Intensities> intensities = new ArrayList<>();
    if (recorded != PyValue.None.NONE) {
      PyValue.Dict byChannel = dict(recorded, name);
      for (int channel = 0; channel < channels; channel++) {
        String place = name + "/" + channel;
        PyValue.Dict one = dict(byChannel.get(channel).orElseThrow(() -> missing(place)), place);
        intensities.add(
            new TrainingPlan.Intensities(
                real(require(one, "mean"), place + "/mean"),
                real(require(one, "sd"), place + "/sd"),
                real(require(one, "percentile_00_5"), place + "/percentile_00_5"),
                real(require(one, "percentile_99_5"), place + "/percentile_99_5")));
      }
    }
    return intensities;
  }

  private Optional<TrainingPlan.Interpolation> interpolation(PyValue.Dict plans)
      throws InvalidFileException {
    String name = "segmentation_export_params";
    PyValue given = plans.get(name).orElse(PyValue.None.NONE);
    if (given == PyValue.None.NONE) {
      return Optional.empty();
    }
    PyValue.Dict parameters = dict(given, name);
    PyValue separate = require(parameters, "force_separate_z");
    return Optional.of(
        new TrainingPlan.Interpolation(
            separate == PyValue.None.NONE
                ? Optional.empty()
                : Optional.of(truth(separate, name + "/force_separate_z")),
            integer(require(parameters, "interpolation_order"), name + "/interpolation_order"),
            integer(
                require(parameters, "interpolation_order_z"), name + "/interpolation_order_z")));
  }

  private List<String> texts(PyValue.Dict plans, String name, int channels)
      throws InvalidFileException {
    List<String> texts = new ArrayList<>();
    for (PyValue value : perChannel(plans, name, channels)) {
      if (!(value instanceof PyValue.Text(String text))) {
        throw invalid(name, value.kind(), "a text for each modality");
      }
      texts.add(text);
    }
    return texts;
  }

  private List<Boolean> truths(PyValue.Dict plans, String name, int channels)
      throws InvalidFileException {
    List<Boolean> truths = new ArrayList<>();
    for (PyValue value : perChannel(plans, name, channels)) {
      truths.add(truth(value, name));
    }
    return truths;
  }

  private List<PyValue> perChannel(PyValue.Dict plans, String name, int channels)
      throws InvalidFileException {
    PyValue.Dict byChannel = dict(require(plans, name), name);
    List<PyValue> values = new ArrayList<>();
    for (int channel = 0; channel < channels; channel++) {
      String place = name + "/" + channel;
      values.add(byChannel.get(channel).orElseThrow(() -> missing(place)));
    }
    return values;
  }

  private int[] whole(PyValue.Dict plans, String name) throws InvalidFileException {
    double[] numbers = axes(plans, name);
    if (!DoubleStream.of(numbers).allMatch(number -> number == (int) number && number >= 0)) {
      throw invalid(name, Arrays.toString(numbers), "whole numbers from 0");
    }
    return Arrays.stream(numbers).mapToInt(number -> (int) number).toArray();
  }

  private double[] axes(PyValue.Dict plans, String name) throws InvalidFileException {
    PyValue value = require(plans, name);
    double[] numbers;
    if (value instanceof PyValue.NumpyArray array) {
      numbers = array.values();
    } else {
      List<PyValue> parts = PyValue.parts(value);
      numbers = new double[parts.size()];
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = real(parts.get(i), name + "/" + i);
      }
    }
    if (numbers.length != 3 || !DoubleStream.of(numbers).allMatch(Double::isFinite)) {
      throw invalid(
          name, value.kind() + " of " + numbers.length, "three numbers, one for each axis");
    }
    return numbers;
  }

  private PyValue.Dict dict(PyValue value, String name) throws InvalidFileException {
    if (value instanceof PyValue.Dict dict) {
      return dict;
    }
    throw invalid(name, "a " + value.kind(), "a dictionary");
  }

  private int integer(PyValue value, String name) throws InvalidFileException {
    if (value instanceof PyValue.Int(BigInteger number) && number.bitLength() < Integer.SIZE) {
      return number.intValue();
    }
    throw invalid(name, "a " + value.kind(), "a whole number");
  }

  private double real(PyValue value, String name) throws InvalidFileException {
    return switch (value) {
      case PyValue.Int(BigInteger number) -> number.doubleValue();
      case PyValue.Real(double number) -> number;
      default -> throw invalid(name, "a " + value.kind(), "a number");
    };
  }

  private boolean truth(PyValue value, String name) throws InvalidFileException {
    if (value instanceof PyValue.Bool(boolean truth)) {
      return truth;
    }
    throw invalid(name, "a " + value.kind(), "true or false");
  }

  private PyValue require(PyValue.Dict dict, String key) throws InvalidFileException {
    return dict.get(key).orElseThrow(() -> missing(key));
  }

  private InvalidFileException missing(String key) {
    return new InvalidFileException(path, "not a plans file: it has no " + key);
  }

  private InvalidFileException invalid(String key, String found, String expected) {
    return new InvalidFileException(
        path, "not a plans file: %s is %s, expected %s".formatted(key, found, expected));
  }
}
