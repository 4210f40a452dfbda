package org.unetrpp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
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
import org.unetrpp.inference.LabelClass;
import org.unetrpp.inference.SegmentationOptions;
import org.unetrpp.inference.Segmenter;
import org.unetrpp.pipeline.Mirroring;
import org.unetrpp.pipeline.SlidingWindow;
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
    description = "Segments volumes: writes CASE_seg.nii.gz on the grid of each image.",
    mixinStandardHelpOptions = true)
final class SegmentCommand extends Subcommand {
  private static final double BYTES_PER_GIBIBYTE = 1L << 30;

  @Spec private CommandSpec command = CommandSpec.create();
  @Mixin private DeviceOptions device = new DeviceOptions();

  @Parameters(
      paramLabel = "INPUT",
      arity = "1..*",
      description = {
        "Images or folders of images (NIfTI). Several channels: CASE_0000.nii.gz,",
        "CASE_0001.nii.gz, ... or one 4-D file."
      })
  private List<Path> inputs = List.of();

  @Option(names = "--model", required = true, paramLabel = "M", description = "The model file.")
  private Path model = Path.of("");

  @Option(
      names = "--output",
      paramLabel = "O",
      description = "A file for one case, a folder for several (default: beside each image).")
  private @Nullable Path output;

  @Option(
      names = "--no-mirroring",
      description = "Predict each patch once, not mirrored in 8 ways: 8 times faster.")
  private boolean withoutMirroring;

  private double step = 0.5;

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
      description = "Also write CASE_prob.nii.gz, a 4-D file with a volume for each class.")
  private boolean saveProbabilities;

  private @Nullable Long maxBytes;

  @Option(
      names = "--max-memory",
      paramLabel = "4g",
      description = "Refuse a case that would need more, such as 4g or 900m.")
  void setMaxMemory(String size) {
    try {
      maxBytes = MemorySize.parse(size);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage(), e);
    }
  }

  @Override
  public Integer call() throws IOException {
    try (Segmenter segmenter = Segmenter.open(model, device.device(), device.threads())) {
      int channels = segmenter.description().architecture().inputChannels();
      List<CaseFiles> cases = CaseFiles.find(inputs, channels);
      Targets targets = new Targets(output, cases.size());
      return cases.size() == 1
          ? segment(segmenter, cases.getFirst(), targets, "")
          : segmentAll(segmenter, cases, targets);
    }
  }

  /** A case that fails does not keep the others from being segmented. */
  private int segmentAll(Segmenter segmenter, List<CaseFiles> cases, Targets targets) {
    int worst = ExitCode.OK;
    int failures = 0;
    for (int i = 0; i < cases.size(); i++) {
      String counter = "[%d/%d] ".formatted(i + 1, cases.size());
      int code;
      try {
        code = segment(segmenter, cases.get(i), targets, counter);
      } catch (CancellationException e) {
        throw e;
      } catch (IOException | RuntimeException e) {
        code = Main.report(e, common());
      }
      if (code != ExitCode.OK) {
        failures++;
        worst = worst == ExitCode.OK ? code : worst;
      }
    }
    if (failures > 0) {
      console().error("%d of %d cases failed".formatted(failures, cases.size()));
    }
    return worst;
  }

  private int segment(Segmenter segmenter, CaseFiles files, Targets targets, String counter)
      throws IOException {
    long start = System.nanoTime();
    targets.requireDistinct(files);
    List<Volume> channels = new ArrayList<>();
    NiftiHeader header = read(files, channels);
    Geometry geometry = channels.getFirst().geometry();
    requireMemory(segmenter.peakBytes(geometry, saveProbabilities));
    requireUsable(files, segmenter, channels);

    List<Volume> probabilities = new ArrayList<>();
    SegmentationOptions options =
        SegmentationOptions.PUBLISHED
            .withWindow(
                new SlidingWindow.Settings(step, withoutMirroring ? Mirroring.NONE : Mirroring.ALL))
            .withProgress((stage, done, total) -> console().progress(counter + stage, done, total))
            .cancelledWhen(Interruption::requested);
    if (saveProbabilities) {
      options =
          options.withProbabilities(
              (LabelClass _, float[] values) -> probabilities.add(new Volume(geometry, values)));
    }
    LabelVolume labels = segmenter.segment(channels, options);
    Path target = targets.labels(files);
    Nifti.writeLabels(target, labels, header);
    if (saveProbabilities) {
      Nifti.writeVolumes(targets.probabilities(files), probabilities, header, VoxelType.FLOAT32);
    }
    console().clearBar();
    System.out.println(target);
    console()
        .info(
            String.format(
                Locale.ROOT,
                "%s%s: %.1f s",
                counter,
                files.name(),
                (System.nanoTime() - start) * 1e-9));
    return ExitCode.OK;
  }

  /** Reads the channels of a case into {@code channels} and returns the first file's header. */
  private NiftiHeader read(CaseFiles files, List<Volume> channels) throws IOException {
    NiftiHeader header = null;
    for (Path path : files.files()) {
      NiftiFile file = Nifti.open(path);
      if (header == null) {
        header = file.header();
      }
      file.header().geometryWarnings().forEach(warning -> console().warn(path + ": " + warning));
      channels.addAll(file.volumes());
    }
    if (header == null || channels.isEmpty()) {
      throw new InvalidFileException(files.files().getFirst(), "holds no volume");
    }
    return header;
  }

  private void requireMemory(long needed) {
    if (maxBytes != null && needed > maxBytes) {
      throw new CommandFailedException(
          String.format(
              Locale.ROOT,
              "the case needs about %.1f GiB, more than --max-memory allows (%.1f GiB)",
              needed / BYTES_PER_GIBIBYTE,
              maxBytes / BYTES_PER_GIBIBYTE));
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

  /**
   * Where results go.
   *
   * @param output what the user named, if anything
   * @param cases how many there are
   */
  private record Targets(@Nullable Path output, int cases) {
    Path labels(CaseFiles files) throws IOException {
      return output != null && isFile()
          ? output
          : folder(files).resolve(files.name() + "_seg.nii.gz");
    }

    Path probabilities(CaseFiles files) throws IOException {
      String labels = String.valueOf(labels(files).getFileName());
      String stem = labels.replaceFirst("\\.nii(\\.gz)?$", "").replaceFirst("_seg$", "");
      Path folder = labels(files).toAbsolutePath().getParent();
      return folder == null
          ? Path.of(stem + "_prob.nii.gz")
          : folder.resolve(stem + "_prob.nii.gz");
    }

    private boolean isFile() {
      return cases == 1 && output != null && output.toString().matches(".*\\.nii(\\.gz)?");
    }

    private Path folder(CaseFiles files) throws IOException {
      return output == null ? files.folder() : Files.createDirectories(output);
    }

    void requireDistinct(CaseFiles files) throws IOException {
      Path target = labels(files).toAbsolutePath().normalize();
      for (Path input : files.files()) {
        if (input.toAbsolutePath().normalize().equals(target)) {
          throw new CommandFailedException(input + ": the output would replace the image");
        }
      }
    }
  }
}
