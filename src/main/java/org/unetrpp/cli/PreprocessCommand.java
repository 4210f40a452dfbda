package org.unetrpp.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.unetrpp.dataset.CaseStages;
import org.unetrpp.dataset.DatasetCase;
import org.unetrpp.dataset.DatasetFolder;
import org.unetrpp.engine.Engine;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.image.Nifti;
import org.unetrpp.pipeline.Workers;
import org.unetrpp.planning.PlanFile;
import org.unetrpp.planning.TrainingPlan;
import org.unetrpp.stages.StageFolder;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Training cases to the stages of their preparation. */
@Command(
    name = "preprocess",
    description =
        "Prepares training cases as 'unetrpp train' does and writes every stage as NIfTI, with its "
            + "parameters as JSON, for checking against another program. 'unetrpp compare' tells "
            + "where two such folders part.",
    mixinStandardHelpOptions = true)
final class PreprocessCommand extends Subcommand {
  @Parameters(
      paramLabel = "CASE",
      arity = "1..*",
      description = "Names of cases of the plan's data set.")
  private List<String> cases = List.of();

  @Option(
      names = "--plan",
      required = true,
      paramLabel = "PLAN",
      description = "The plan file that 'unetrpp plan' wrote.")
  private Path planFile = Path.of("");

  @Option(
      names = "--dump-stages",
      required = true,
      paramLabel = "DIR",
      description =
          "Where the stages go, a new folder; of several cases, DIR/CASE. Every stage is held whole: "
              + "three times the image and twice the resampled image.")
  private Path target = Path.of("");

  @Override
  public Integer call() throws IOException {
    TrainingPlan plan = PlanFile.read(planFile);
    DatasetFolder dataset = PlanFile.openDataset(planFile, plan);
    List<DatasetCase> chosen = new ArrayList<>();
    for (String id : cases) {
      chosen.add(find(dataset, id));
    }
    for (DatasetCase files : chosen) {
      Path folder = chosen.size() == 1 ? target : target.resolve(files.id());
      dump(files, plan, folder);
      System.out.println(folder);
    }
    return ExitCode.OK;
  }

  private static DatasetCase find(DatasetFolder dataset, String id) throws InvalidFileException {
    return dataset.cases().stream()
        .filter(files -> files.id().equals(id))
        .findFirst()
        .orElseThrow(() ->
            new InvalidFileException(
                dataset.folder(),
                "has no case '%s'; it has %s"
                    .formatted(id, dataset.cases().stream().map(DatasetCase::id).toList())));
  }

  private void dump(DatasetCase files, TrainingPlan plan, Path folder) throws IOException {
    StageFolder stages =
        StageFolder.create(
            folder,
            files.id(),
            files.files(),
            Nifti.readHeader(files.images().getFirst()).geometry());
    try (Workers workers =
        new Workers(
            Engine.defaultThreads(),
            Interruption::requested,
            (stage, done, total) -> console().progress(stage, done, total))) {
      CaseStages.run(files, plan.recipe(), stages, workers);
    }
    stages.finish();
    console().clearBar();
  }
}
