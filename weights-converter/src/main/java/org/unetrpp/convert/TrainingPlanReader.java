package org.unetrpp.convert;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.pipeline.PreprocessingPlan;
import org.unetrpp.planning.ImportedPlan;

/** Picks the parts of a plan out of a pickle's value. */
final class TrainingPlanReader {
  private static final int STAGE_ARGUMENT = 5;
  private static final int MAX_CHANNELS = 1000;

  private final PickledValues values;

  TrainingPlanReader(Path path) {
    this.values = new PickledValues(path, "plans file");
  }

  /**
   * The parts of a file that count.
   *
   * @param trainer class name, if the file says it
   * @param plans the plan
   * @param stage number of the stage that is trained
   * @param stagePlan what the plan says of it
   */
  private record Parts(
      Optional<String> trainer, PyValue.Dict plans, int stage, PyValue.Dict stagePlan) {}

  /**
   * How images are prepared by a side file or plans file.
   *
   * @throws InvalidFileException if a part is missing or not what it should be
   */
  TrainingPlan read(PyValue root) throws InvalidFileException {
    return read(parts(root), null);
  }

  /**
   * The plan of a side file or plans file.
   *
   * @param fingerprint whose intensities count where the plan has none; may be null
   * @throws InvalidFileException if a part is missing or not what it should be
   */
  ImportedPlan readImported(PyValue root, PyValue.@Nullable Dict fingerprint)
      throws InvalidFileException {
    Parts parts = parts(root);
    TrainingPlan trained = read(parts, fingerprint);
    PyValue.Dict stage = parts.stagePlan;
    List<Extents> pooling = new ArrayList<>();
    String poolName = "pool_op_kernel_sizes";
    for (PyValue level : values.list(values.require(stage, poolName), poolName)) {
      pooling.add(Extents.of(values.wholeAxes(level, poolName)));
    }
    String classesName = "all_classes";
    List<Integer> labels = new ArrayList<>(List.of(0));
    for (PyValue value : values.list(values.require(parts.plans, classesName), classesName)) {
      labels.add(values.integer(value, classesName));
    }
    if (labels.size() != trained.classes()) {
      throw values.invalid(
          classesName, labels.size() - 1 + " values", trained.classes() - 1 + ", one a class");
    }
    return new ImportedPlan(
        preprocessing(trained),
        labels.stream().sorted().toList(),
        trained.patch(),
        values.integer(values.require(stage, "batch_size"), "batch_size"),
        pooling,
        values.truth(values.require(stage, "do_dummy_2D_data_aug"), "do_dummy_2D_data_aug"),
        values.integer(values.require(parts.plans, "num_stages"), "num_stages") > 1);
  }

  private PreprocessingPlan preprocessing(TrainingPlan trained) throws InvalidFileException {
    try {
      return Preparation.plan(trained);
    } catch (IllegalArgumentException e) {
      throw new InvalidFileException(values.path(), String.valueOf(e.getMessage()), e);
    }
  }

  private Parts parts(PyValue root) throws InvalidFileException {
    PyValue.Dict file = values.dict(root, "the file");
    boolean isSideFile = file.get("plans").isPresent();
    PyValue.Dict plans = isSideFile ? values.dict(values.require(file, "plans"), "plans") : file;
    int stage = isSideFile ? trainedStage(file, plans) : lastStage(plans);
    PyValue.Dict stages = values.dict(values.require(plans, "plans_per_stage"), "plans_per_stage");
    String stageName = "plans_per_stage/" + stage;
    return new Parts(
        trainer(file),
        plans,
        stage,
        values.dict(stages.get(stage).orElseThrow(() -> values.missing(stageName)), stageName));
  }

  private TrainingPlan read(Parts parts, PyValue.@Nullable Dict fingerprint)
      throws InvalidFileException {
    PyValue.Dict plans = parts.plans;
    int channels = values.integer(values.require(plans, "num_modalities"), "num_modalities");
    if (channels < 1 || channels > MAX_CHANNELS) {
      throw values.invalid("num_modalities", Integer.toString(channels), "1 to " + MAX_CHANNELS);
    }
    String properties = "dataset_properties";
    FingerprintReader intensities = new FingerprintReader(values);
    List<TrainingPlan.Intensities> recorded =
        intensities.intensities(
            values.dict(values.require(plans, properties), properties), channels);
    if (recorded.isEmpty() && fingerprint != null) {
      recorded = intensities.intensities(fingerprint, channels);
    }
    return new TrainingPlan(
        parts.trainer,
        parts.stage,
        values.texts(plans, "modalities", channels),
        1 + values.integer(values.require(plans, "num_classes"), "num_classes"),
        Spacing.of(axes(parts.stagePlan, "current_spacing")),
        Extents.of(values.wholeAxes(values.require(parts.stagePlan, "patch_size"), "patch_size")),
        Arrays.stream(transposition(plans)).boxed().toList(),
        values.texts(plans, "normalization_schemes", channels),
        truths(plans, "use_mask_for_norm", channels),
        recorded,
        interpolation(plans));
  }

  private double[] axes(PyValue.Dict dict, String name) throws InvalidFileException {
    return values.axes(values.require(dict, name), name);
  }

  private static Optional<String> trainer(PyValue.Dict file) {
    return file.get("name")
        .filter(PyValue.Text.class::isInstance)
        .map(name -> ((PyValue.Text) name).value());
  }

  /** The stage among the arguments that the trainer was made with; the last if it says none. */
  private int trainedStage(PyValue.Dict file, PyValue.Dict plans) throws InvalidFileException {
    List<PyValue> arguments = PyValue.parts(values.require(file, "init"));
    if (arguments.size() <= STAGE_ARGUMENT) {
      throw values.invalid("init", arguments.size() + " arguments", "a stage as the sixth");
    }
    PyValue stage = arguments.get(STAGE_ARGUMENT);
    return stage == PyValue.None.NONE ? lastStage(plans) : values.integer(stage, "init/5");
  }

  private int lastStage(PyValue.Dict plans) throws InvalidFileException {
    return values.integer(values.require(plans, "num_stages"), "num_stages") - 1;
  }

  private int[] transposition(PyValue.Dict plans) throws InvalidFileException {
    String name = "transpose_forward";
    int[] axes = values.wholeAxes(values.require(plans, name), name);
    if (!Arrays.equals(Arrays.stream(axes).sorted().toArray(), new int[] {0, 1, 2})) {
      throw values.invalid(name, Arrays.toString(axes), "an order of 0, 1, 2");
    }
    return axes;
  }

  private Optional<TrainingPlan.Interpolation> interpolation(PyValue.Dict plans)
      throws InvalidFileException {
    String name = "segmentation_export_params";
    PyValue given = plans.get(name).orElse(PyValue.None.NONE);
    if (given == PyValue.None.NONE) {
      return Optional.empty();
    }
    PyValue.Dict parameters = values.dict(given, name);
    PyValue separate = values.require(parameters, "force_separate_z");
    return Optional.of(
        new TrainingPlan.Interpolation(
            separate == PyValue.None.NONE
                ? Optional.empty()
                : Optional.of(values.truth(separate, name + "/force_separate_z")),
            order(parameters, name, "interpolation_order"),
            order(parameters, name, "interpolation_order_z")));
  }

  private int order(PyValue.Dict parameters, String name, String key) throws InvalidFileException {
    return values.integer(values.require(parameters, key), name + "/" + key);
  }

  private List<Boolean> truths(PyValue.Dict plans, String name, int channels)
      throws InvalidFileException {
    List<Boolean> truths = new ArrayList<>();
    for (PyValue value : values.perChannel(plans, name, channels)) {
      truths.add(values.truth(value, name));
    }
    return truths;
  }
}
