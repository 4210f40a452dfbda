package org.unetrpp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.unetrpp.engine.Engine;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Nifti;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.inference.ProbabilityMean;
import org.unetrpp.inference.SavedProbabilities;
import org.unetrpp.pipeline.Progress;
import org.unetrpp.pipeline.Workers;
import org.unetrpp.postprocessing.ComponentRule;
import org.unetrpp.postprocessing.PostprocessingFile;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Saved probabilities of several runs to labels. */
@Command(
    name = "ensemble",
    description =
        "Averages the probabilities that several runs saved of the same cases and writes "
            + "CASE_seg.nii.gz.",
    mixinStandardHelpOptions = true)
final class EnsembleCommand extends Subcommand {
  private static final String PROBABILITIES = "_prob";
  private static final String NUMPY = "\\.npz$";

  @Parameters(
      paramLabel = "FOLDER",
      arity = "2..*",
      description =
          "Folders of the same cases, as 'segment --save-probabilities' writes them "
              + "(CASE_prob.nii.gz), or as published (CASE.npz beside CASE.nii.gz).")
  private List<Path> folders = List.of();

  @Option(
      names = {"-o", "--output"},
      required = true,
      paramLabel = "DIR",
      description = "Folder to write to.")
  private Path output = Path.of("");

  @Option(
      names = "--postprocessing",
      paramLabel = "F",
      description = "Remove small components by the rule of this postprocessing.json.")
  private @Nullable Path postprocessing;

  @Option(
      names = "--model",
      paramLabel = "M",
      description = "Give labels the values of this model (default: the numbers of the classes).")
  private @Nullable Path model;

  @Override
  public Integer call() throws IOException {
    ComponentRule rule =
        postprocessing == null ? ComponentRule.NONE : PostprocessingFile.read(postprocessing);
    List<LabelClass> classes = classes();
    Map<String, List<Path>> cases = cases();
    Files.createDirectories(output);
    try (Workers workers =
        new Workers(Engine.defaultThreads(), Interruption::requested, Progress.NONE)) {
      int done = 0;
      for (Map.Entry<String, List<Path>> of : cases.entrySet()) {
        console().progress("cases", done, cases.size());
        Path target = output.resolve(of.getKey() + "_seg.nii.gz");
        write(target, of.getValue(), classes, rule, workers);
        console().clearBar();
        System.out.println(target);
        done++;
      }
    }
    return ExitCode.OK;
  }

  private List<LabelClass> classes() throws IOException {
    if (model == null) {
      return List.of();
    }
    try (ModelFile file = ModelFile.open(model)) {
      return file.description().labels();
    }
  }

  /** The files of each case, one for each folder. */
  private Map<String, List<Path>> cases() throws IOException {
    Map<String, List<Path>> cases = new TreeMap<>();
    Path first = folders.getFirst();
    files(first).forEach((name, file) -> cases.put(name, new ArrayList<>(List.of(file))));
    for (Path folder : folders.subList(1, folders.size())) {
      Map<String, Path> files = files(folder);
      for (Map.Entry<String, Path> file : files.entrySet()) {
        if (!cases.containsKey(file.getKey())) {
          throw missing(file.getKey(), first, folder);
        }
      }
      for (Map.Entry<String, List<Path>> of : cases.entrySet()) {
        Path file = files.get(of.getKey());
        if (file == null) {
          throw missing(of.getKey(), folder, first);
        }
        of.getValue().add(file);
      }
    }
    return cases;
  }

  private static InvalidFileException missing(String name, Path folder, Path other) {
    return new InvalidFileException(
        folder, "holds no probabilities of case '%s', which %s does".formatted(name, other));
  }

  /** Files of probabilities by the name of their case. */
  private static Map<String, Path> files(Path folder) throws IOException {
    Map<String, Path> files = new TreeMap<>();
    try (Stream<Path> entries = Files.list(folder)) {
      for (Path file : entries.sorted().toList()) {
        String stem = CaseFiles.stem(file);
        if (SavedProbabilities.isNumpy(file)) {
          files.putIfAbsent(stem.replaceFirst(NUMPY, ""), file);
        } else if (CaseFiles.isImage(file) && stem.endsWith(PROBABILITIES)) {
          files.put(stem.substring(0, stem.length() - PROBABILITIES.length()), file);
        }
      }
    }
    if (files.isEmpty()) {
      throw new InvalidFileException(
          folder,
          "holds no probabilities (CASE_prob.nii.gz or CASE.npz); 'unetrpp segment "
              + "--save-probabilities' writes them");
    }
    return files;
  }

  @SuppressWarnings("MustBeClosedChecker") // closed in the end
  private static void write(
      Path target, List<Path> files, List<LabelClass> classes, ComponentRule rule, Workers workers)
      throws IOException {
    List<SavedProbabilities> runs = new ArrayList<>();
    try {
      for (Path file : files) {
        runs.add(SavedProbabilities.open(file));
      }
      SavedProbabilities first = runs.getFirst();
      if (!classes.isEmpty() && classes.size() != first.classes()) {
        throw new InvalidFileException(
            first.path(),
            "%d classes, expected %d as the model has".formatted(first.classes(), classes.size()));
      }
      LabelVolume labels = ProbabilityMean.labels(runs, workers);
      if (!classes.isEmpty()) {
        LabelClass.toValues(labels.labels(), classes);
      }
      Nifti.writeLabels(target, rule.apply(labels, workers), first.header());
    } finally {
      for (SavedProbabilities run : runs) {
        run.close();
      }
    }
  }
}
