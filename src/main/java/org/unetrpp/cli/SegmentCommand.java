package org.unetrpp.cli;

import com.google.errorprone.annotations.MustBeClosed;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import org.jspecify.annotations.Nullable;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Nifti;
import org.unetrpp.image.NiftiFile;
import org.unetrpp.image.NiftiHeader;
import org.unetrpp.image.Volume;
import org.unetrpp.image.VoxelType;
import org.unetrpp.inference.EmbeddedModels;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.inference.LabelMeasure;
import org.unetrpp.inference.ModelDescription;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.inference.SegmentationEstimate;
import org.unetrpp.inference.SegmentationOptions;
import org.unetrpp.inference.SegmentationReport;
import org.unetrpp.inference.Segmenter;
import org.unetrpp.model.Architecture;
import org.unetrpp.pipeline.ChannelPlan;
import org.unetrpp.pipeline.Mirroring;
import org.unetrpp.pipeline.Progress;
import org.unetrpp.pipeline.SlidingWindow;
import org.unetrpp.pipeline.Workers;
import org.unetrpp.postprocessing.ComponentRule;
import org.unetrpp.postprocessing.PostprocessingFile;
import org.unetrpp.preview.Preview;
import org.unetrpp.recipe.PublishedRecipe;
import org.unetrpp.stages.StageFolder;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Volumes to label volumes. */
@Command(
    name = "segment",
    description =
        "Segments volumes: writes CASE_seg.nii.gz on the grid of each image, and a preview of it, "
            + "CASE_seg.png.",
    mixinStandardHelpOptions = true)
final class SegmentCommand extends Subcommand {
  /** About what Java itself takes, and objects that come and go. */
  private static final long JAVA_BYTES = 160L << 20;

  private static final double DEFAULT_STEP = 0.5;

  @Spec private CommandSpec command = CommandSpec.create();
  @Mixin private DeviceOptions device = new DeviceOptions();
  @Mixin private RecipeOption recipe = new RecipeOption();

  @Parameters(
      paramLabel = "INPUT",
      arity = "1..*",
      description =
          "Images or folders of images (NIfTI). Several channels: CASE_0000.nii.gz, "
              + "CASE_0001.nii.gz, ... or one 4-D file.")
  private List<Path> inputs = List.of();

  @Option(
      names = "--model",
      paramLabel = "M",
      description =
          "A model file, or a built-in model (default: hippocampus; with --recipe what 'train --recipe' "
              + "wrote here, R_fold0/model.safetensors). Given several times, such as for every fold: "
              + "the mean of their probabilities.")
  private List<Path> modelFiles = List.of();

  @Option(
      names = {"-o", "--output"},
      paramLabel = "O",
      description = "A file for one case, a folder for several (default: beside each image).")
  private @Nullable Path output;

  @Option(
      names = "--no-mirroring",
      description = "Predict each patch once, not mirrored in 8 ways: 8 times faster.")
  private boolean withoutMirroring;

  private @Nullable Double step;

  @Option(
      names = "--step",
      paramLabel = "0.5",
      description = "Distance of patches as a fraction of the patch (default: 0.5).")
  void setStep(double fraction) {
    if (!(fraction > 0 && fraction <= 1)) {
      throw new ParameterException(
          command.commandLine(), "--step is " + fraction + ", expected above 0 and at most 1");
    }
    step = fraction;
  }

  @Option(
      names = "--save-probabilities",
      description =
          "Also write CASE_prob.nii.gz, a 4-D file with a volume for each class; holds all of them in "
              + "memory.")
  private boolean saveProbabilities;

  @Option(
      names = "--preview",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description = "Also write CASE_seg.png, three slices with the labels (default: yes).")
  private boolean preview;

  @Option(
      names = "--volumes",
      paramLabel = "F",
      description = "Also write a CSV table of every case's labels with their voxels and ml.")
  private @Nullable Path volumes;

  @Option(
      names = "--postprocessing",
      paramLabel = "F",
      description =
          "Remove small components by the rule of this postprocessing.json, which 'unetrpp "
              + "determine-postprocessing' writes.")
  private @Nullable Path postprocessing;

  private @Nullable Long maxBytes;

  @Option(
      names = "--max-memory",
      paramLabel = "4g",
      description =
          "Refuse a case that would need more memory, such as 4g or 900m. Only the slices that the "
              + "windows in work cover are held in any case.")
  void setMaxMemory(String size) {
    try {
      maxBytes = MemorySize.parse(size);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage(), e);
    }
  }

  @Option(
      names = "--estimate",
      description =
          "Tell what each case will take of time and memory, by doing a little of it, and write "
              + "nothing.")
  private boolean estimateOnly;

  @Option(
      names = "--dump-stages",
      paramLabel = "DIR",
      description =
          "Also write every stage of a case as NIfTI, with its parameters as JSON, into a new folder "
              + "(of several cases, DIR/CASE), for 'unetrpp compare'; with --save-probabilities also "
              + "those of what the network sees. Every stage is held whole: three times the image, "
              + "twice the resampled image, and its sums, 4 bytes a class and voxel.")
  private @Nullable Path dumpFolder;

  private final EmbeddedModels models;
  private @Nullable VolumesFile volumesFile;
  private int caseCount;
  private ComponentRule rule = ComponentRule.NONE;

  SegmentCommand(EmbeddedModels models) {
    this.models = models;
  }

  @Override
  public Integer call() throws IOException {
    if (dumpFolder != null && maxBytes != null) {
      throw new ParameterException(
          command.commandLine(),
          "--max-memory does not know what --dump-stages takes; give one of them");
    }
    if (postprocessing != null) {
      rule = PostprocessingFile.read(postprocessing);
    }
    if (modelFiles.isEmpty() && recipe.recipe().isPresent()) {
      modelFiles = List.of(modelOf(recipe.recipe().get()));
    }
    try (Segmenter segmenter = openModel()) {
      if (recipe.recipe().isPresent()) {
        requireNetworkOf(recipe.recipe().get(), segmenter.description());
      }
      int channels = segmenter.description().architecture().inputChannels();
      List<CaseFiles> cases = CaseFiles.find(inputs, channels);
      if (estimateOnly) {
        return forEachCase(cases, (files, counter) -> estimate(segmenter, files, counter));
      }
      Targets targets = Targets.prepare(output, cases);
      if (volumes != null) {
        targets.requireOwn(volumes, cases);
        volumesFile = VolumesFile.create(volumes);
      }
      caseCount = cases.size();
      return forEachCase(cases, (files, counter) -> segment(segmenter, files, targets, counter));
    }
  }

  private static Path modelOf(PublishedRecipe published) {
    Path trained = Path.of(published.name() + "_fold0", "model.safetensors");
    if (!Files.exists(trained)) {
      throw new CommandFailedException(
          ("recipe %s: no model %s here; name one by --model, "
                  + "or train it by: unetrpp train --recipe %s DATASET")
              .formatted(published.name(), trained, published.name()));
    }
    return trained;
  }

  private void requireNetworkOf(PublishedRecipe published, ModelDescription description)
      throws InvalidFileException {
    Architecture expected = published.architecture();
    Architecture found = description.architecture();
    if (found.classes() != expected.classes()
        || found.inputChannels() != expected.inputChannels()) {
      throw new InvalidFileException(
          modelFiles.getFirst(),
          "%d channels and %d classes, but recipe %s has %d and %d"
              .formatted(
                  found.inputChannels(),
                  found.classes(),
                  published.name(),
                  expected.inputChannels(),
                  expected.classes()));
    }
  }

  /** Opens the model files or, telling which it is, the built-in model. */
  @MustBeClosed
  private Segmenter openModel() throws IOException {
    if (modelFiles.size() > 1) {
      return openEnsemble();
    }
    Path model = modelFiles.isEmpty() ? null : modelFiles.getFirst();
    String name = model == null ? EmbeddedModels.DEFAULT : model.toString();
    if (model != null && Files.exists(model)) {
      try (ModelFile file = ModelFile.open(model)) {
        return segmenter(List.of(file));
      }
    }
    if (!models.contains(name)) {
      if (model != null) {
        throw new InvalidFileException(model, "no such file or built-in model");
      }
      throw new ParameterException(
          command.commandLine(), "this build contains no model, so --model is needed");
    }
    try (ModelFile file = models.open(name)) {
      console()
          .info(
              ModelIntroduction.text(name, file.description()),
              List.of(),
              ModelIntroduction.fields(name, file.description()));
      return segmenter(List.of(file));
    }
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed in the end
  private Segmenter openEnsemble() throws IOException {
    List<ModelFile> files = new ArrayList<>();
    try {
      for (Path path : modelFiles) {
        files.add(ModelFile.open(path));
      }
      return segmenter(files);
    } finally {
      files.forEach(ModelFile::close);
    }
  }

  @MustBeClosed
  private Segmenter segmenter(List<ModelFile> files) {
    return Segmenter.open(files, device.device(console()), device.threads(), device.computeType());
  }

  /** What is done with each case. */
  private interface CaseWork {
    void accept(CaseFiles files, String counter) throws IOException;
  }

  /** A case that fails does not keep the others from being worked on. */
  private int forEachCase(List<CaseFiles> cases, CaseWork work) throws IOException {
    if (cases.size() == 1) {
      work.accept(cases.getFirst(), "");
      return ExitCode.OK;
    }
    int first = ExitCode.OK;
    int failures = 0;
    for (int i = 0; i < cases.size(); i++) {
      String counter = "[%d/%d] ".formatted(i + 1, cases.size());
      try {
        work.accept(cases.get(i), counter);
      } catch (CancellationException e) {
        throw e;
      } catch (IOException | RuntimeException e) {
        int code = Main.report(e, counter, common());
        first = failures == 0 ? code : first;
        failures++;
      }
    }
    if (failures > 0) {
      console().error("%d of %d cases failed".formatted(failures, cases.size()));
    }
    return first;
  }

  private void segment(Segmenter segmenter, CaseFiles files, Targets targets, String counter)
      throws IOException {
    long start = System.nanoTime();
    List<NiftiFile> images = open(files, segmenter);
    NiftiHeader header = images.getFirst().header();
    requireMemory(files, header.geometry(), segmenter);
    long reading = System.nanoTime();
    List<Volume> channels = read(files, images, segmenter);
    long read = System.nanoTime();

    List<Volume> probabilities = new ArrayList<>();
    SegmentationOptions options = options(header.geometry(), probabilities, counter);
    SegmentationReport report =
        dumpFolder == null
            ? segmenter.report(channels, options)
            : dump(segmenter, files, channels, options, dumpFolder);
    LabelVolume labels = postprocessed(report.labels());
    long segmented = System.nanoTime();
    Path target = targets.labels(files);
    Nifti.writeLabels(target, labels, header);
    if (saveProbabilities) {
      Nifti.writeVolumes(targets.probabilities(files), probabilities, header, VoxelType.FLOAT32);
    }
    if (preview) {
      Preview.write(
          targets.preview(files), channels.getFirst(), labels, segmenter.description().labels());
    }
    List<LabelMeasure> measures = LabelMeasure.of(labels, segmenter.description().labels());
    if (volumesFile != null) {
      volumesFile.add(files.name(), target, measures);
    }
    console().clearBar();
    System.out.println(target);
    long end = System.nanoTime();
    CaseTimes times =
        new CaseTimes(seconds(reading, read), report.times(), seconds(segmented, end));
    List<String> details = new ArrayList<>(MeasureTable.lines(measures));
    if (common().verbose) {
      details.add("  " + times.text());
    }
    console()
        .info(
            String.format(Locale.ROOT, "%s%s: %.1f s", counter, files.name(), seconds(start, end)),
            details,
            fields(files, target, seconds(start, end), times, measures));
  }

  /** Segments a case and writes its stages. */
  private SegmentationReport dump(
      Segmenter segmenter,
      CaseFiles files,
      List<Volume> channels,
      SegmentationOptions options,
      Path folder)
      throws IOException {
    StageFolder stages =
        StageFolder.create(
            caseCount == 1 ? folder : folder.resolve(files.name()),
            files.name(),
            files.files(),
            channels.getFirst().geometry());
    SegmentationReport report = segmenter.report(channels, options, stages);
    stages.finish();
    return report;
  }

  private LabelVolume postprocessed(LabelVolume labels) {
    if (rule.equals(ComponentRule.NONE)) {
      return labels;
    }
    try (Workers workers = new Workers(device.threads(), Interruption::requested, Progress.NONE)) {
      return rule.apply(labels, workers);
    }
  }

  private static double seconds(long from, long to) {
    return (to - from) * 1e-9;
  }

  private List<Volume> read(CaseFiles files, List<NiftiFile> images, Segmenter segmenter)
      throws IOException {
    List<Volume> channels = new ArrayList<>();
    for (NiftiFile image : images) {
      channels.addAll(image.volumes());
    }
    requireUsable(files, segmenter, channels);
    return channels;
  }

  private void estimate(Segmenter segmenter, CaseFiles files, String counter) throws IOException {
    List<NiftiFile> images = open(files, segmenter);
    Geometry geometry = images.getFirst().header().geometry();
    long reading = System.nanoTime();
    List<Volume> channels = read(files, images, segmenter);
    double read = seconds(reading, System.nanoTime());
    SegmentationEstimate estimate =
        segmenter.estimate(channels, options(geometry, new ArrayList<>(), counter));
    CaseTimes times = CaseTimes.estimated(read, estimate.times(), geometry.extents().voxels());
    console().clearBar();
    System.out.printf(
        Locale.ROOT,
        "%s: about %s, %s of memory at its peak%n",
        files.name(),
        Console.duration(times.total()),
        MemorySize.text(estimate.peakBytes()));
    JsonObject fields = new JsonObject();
    fields.addProperty("case", files.name());
    fields.addProperty("seconds", times.total());
    fields.addProperty("peakBytes", estimate.peakBytes());
    fields.add("stages", times.json());
    console().info("%s%s: %s".formatted(counter, files.name(), times.text()), List.of(), fields);
  }

  private static JsonObject fields(
      CaseFiles files, Path target, double seconds, CaseTimes times, List<LabelMeasure> measures) {
    JsonObject fields = new JsonObject();
    fields.addProperty("case", files.name());
    fields.addProperty("segmentation", target.toString());
    fields.addProperty("seconds", seconds);
    fields.add("stages", times.json());
    fields.add("labels", MeasureTable.json(measures));
    return fields;
  }

  private SegmentationOptions options(
      Geometry geometry, List<Volume> probabilities, String counter) {
    Optional<PublishedRecipe.Segmentation> followed =
        recipe.recipe().map(PublishedRecipe::segmentation);
    boolean mirroring =
        !withoutMirroring && followed.map(PublishedRecipe.Segmentation::mirroring).orElse(true);
    double published = followed.map(PublishedRecipe.Segmentation::step).orElse(DEFAULT_STEP);
    SlidingWindow.Settings window =
        new SlidingWindow.Settings(
            step == null ? published : step, mirroring ? Mirroring.ALL : Mirroring.NONE);
    SegmentationOptions options =
        SegmentationOptions.PUBLISHED
            .withWindow(window)
            .withProgress((stage, done, total) -> console().progress(counter + stage, done, total))
            .cancelledWhen(Interruption::requested);
    return saveProbabilities
        ? options.withProbabilities(
            (LabelClass _, float[] values) -> probabilities.add(new Volume(geometry, values)))
        : options;
  }

  /** Opens the files of a case, without their voxels, and checks that they are enough. */
  private List<NiftiFile> open(CaseFiles files, Segmenter segmenter) throws IOException {
    List<NiftiFile> images = new ArrayList<>();
    List<ChannelPlan> expected = segmenter.description().preprocessing().channels();
    long volumes = 0;
    for (Path path : files.files()) {
      if (!Files.exists(path)) {
        String needed = expected.size() == 1 ? "" : "; the model needs " + names(expected);
        throw new InvalidFileException(path, "no such file" + needed);
      }
      NiftiFile image = Nifti.open(path);
      image.header().geometryWarnings().forEach(warning -> console().warn(path + ": " + warning));
      volumes += image.header().volumeCount();
      images.add(image);
    }
    if (volumes != expected.size()) {
      throw new InvalidFileException(
          files.files().getFirst(),
          "%d channel%s, but the model needs %s"
              .formatted(volumes, volumes == 1 ? "" : "s", names(expected)));
    }
    return images;
  }

  private static String names(List<ChannelPlan> channels) {
    String names = String.join(", ", channels.stream().map(ChannelPlan::name).toList());
    return "%d: %s".formatted(channels.size(), names);
  }

  private void requireMemory(CaseFiles files, Geometry geometry, Segmenter segmenter) {
    if (maxBytes == null) {
      return;
    }
    long image =
        geometry.extents().voxels()
            * Float.BYTES
            * segmenter.description().architecture().inputChannels();
    long work = segmenter.peakBytes(geometry, options(geometry, new ArrayList<>(), ""));
    long needed = JAVA_BYTES + segmenter.networkBytes() + image + work;
    if (needed > maxBytes) {
      throw new CommandFailedException(
          "%s: needs about %s of memory%s, more than --max-memory allows (%s)"
              .formatted(
                  files.files().getFirst(),
                  MemorySize.text(needed),
                  saveProbabilities ? ", also for --save-probabilities" : "",
                  MemorySize.text(maxBytes)));
    }
  }

  private static void requireUsable(CaseFiles files, Segmenter segmenter, List<Volume> channels)
      throws InvalidFileException {
    try {
      segmenter.requireUsable(channels);
    } catch (IllegalArgumentException e) {
      throw new InvalidFileException(files.files().getFirst(), String.valueOf(e.getMessage()), e);
    }
  }
}
