package org.unetrpp.cli;

import com.google.gson.GsonBuilder;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import org.jspecify.annotations.Nullable;
import org.unetrpp.benchmark.ForwardPass;
import org.unetrpp.benchmark.NetworkSize;
import org.unetrpp.benchmark.PublishedNetwork;
import org.unetrpp.benchmark.PublishedTable;
import org.unetrpp.benchmark.Spread;
import org.unetrpp.benchmark.TrainingStep;
import org.unetrpp.engine.Device;
import org.unetrpp.files.AtomicFile;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.inference.EmbeddedModels;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.model.Architecture;
import org.unetrpp.planning.TrainingMemory;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Measures a network on this machine. */
@Command(
    name = "benchmark",
    description = {
      "Measures a network on this machine, beside what its authors claim.",
      "Weights and patch are made up; times do not depend on them."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class BenchmarkCommand extends Subcommand {
  private static final double NANOS = 1e-9;

  /** Share of the processors that others may take before the user is told. */
  private static final double FOREIGN_LIMIT = 0.05;

  private final EmbeddedModels models;

  @Spec private CommandSpec command = CommandSpec.create();

  @ArgGroup(exclusive = true)
  private Subject subject = new Subject();

  private int passes = 10;
  private int batchSize;

  @Option(names = "--training", description = "Measure training steps, too.")
  private boolean training;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "DIR",
      description = "Where --claims also writes claims.md, claims.csv and claims.json.")
  private @Nullable Path output;

  @Mixin private DeviceOptions device = new DeviceOptions();

  @Option(names = "--json", description = "For programs.")
  private boolean json;

  /** What is measured. */
  private static final class Subject {
    @Option(
        names = "--variant",
        paramLabel = "V",
        description = "synapse, btcv, acdc, lung or tumor (default: synapse).")
    private @Nullable String variant;

    @Option(
        names = "--model",
        paramLabel = "M",
        description = "The network of a model file or built-in model.")
    private @Nullable Path model;

    @Option(
        names = "--claims",
        description = "All published networks, beside all that is published of them and others.")
    private boolean claims;
  }

  /** A network, and what is published of it. */
  private record Network(
      String name, Architecture architecture, Optional<PublishedNetwork> published) {}

  BenchmarkCommand(EmbeddedModels models) {
    this.models = models;
  }

  @Option(
      names = "--passes",
      paramLabel = "N",
      description = "Passes, and training steps, to take the median of (default: 10).")
  void setPasses(int count) {
    passes = requirePositive("--passes", count);
  }

  @Option(
      names = "--batch-size",
      paramLabel = "N",
      description = "Patches of a training step (default: as published, else 2).")
  void setBatchSize(int size) {
    batchSize = requirePositive("--batch-size", size);
  }

  private int requirePositive(String option, int value) {
    if (value < 1) {
      throw new ParameterException(
          command.commandLine(), "%s is %d, expected 1 or more".formatted(option, value));
    }
    return value;
  }

  @Override
  public Integer call() throws IOException {
    if (output != null && !subject.claims) {
      throw new ParameterException(
          command.commandLine(), "--output is for the tables of --claims, expected both");
    }
    if (subject.claims) {
      return claims();
    }
    Network network = network();
    int batch =
        batchSize > 0 ? batchSize : network.published().map(PublishedNetwork::batchSize).orElse(2);
    Device chosen = device.device(console());
    if (training && chosen instanceof Device.Cpu) {
      requireMemory(network, batch);
    }
    ProcessorUse use = new ProcessorUse();
    BenchmarkReport report = new BenchmarkReport(network.architecture(), network.published());
    report.measured(network.name(), device, chosen);
    forward(network, chosen, report);
    if (training) {
      train(network, batch, chosen, report);
    }
    report.foreignLoad(foreignLoad(use));
    System.out.print(
        json
            ? new GsonBuilder().setPrettyPrinting().create().toJson(report.json())
                + System.lineSeparator()
            : report.text());
    return ExitCode.OK;
  }

  /** The share of the processors that others have taken, of which the user is told. */
  private double foreignLoad(ProcessorUse use) {
    double others = use.others();
    console().clearBar();
    if (others > FOREIGN_LIMIT) {
      console()
          .warn(
              String.format(
                  Locale.ROOT,
                  "other processes took %.0f %% of the processors meanwhile; times are longer for it",
                  100 * others));
    }
    return others;
  }

  private int claims() throws IOException {
    if (training) {
      throw new ParameterException(
          command.commandLine(), "--training has no published figures, expected no --claims");
    }
    if (output != null) {
      Files.createDirectories(output);
    }
    Device chosen = device.device(console());
    ProcessorUse use = new ProcessorUse();
    List<ClaimsReport.Measured> measured = new ArrayList<>();
    String machine = "";
    for (String name : PublishedNetwork.names()) {
      PublishedNetwork network = PublishedNetwork.of(name).orElseThrow();
      try (ForwardPass pass =
          new ForwardPass(network.architecture(), chosen, device.threads(), device.computeType())) {
        machine = pass.describe();
        measured.add(
            new ClaimsReport.Measured(
                network, NetworkSize.of(network.architecture()), steady(time(name, pass::run))));
      }
    }
    ClaimsReport report =
        new ClaimsReport(
            machine, device.precision(), foreignLoad(use), measured, PublishedTable.all());
    System.out.print(json ? report.json() : report.markdown());
    if (output != null) {
      write(output.resolve("claims.md"), report.markdown());
      write(output.resolve("claims.csv"), report.csv());
      write(output.resolve("claims.json"), report.json());
    }
    return ExitCode.OK;
  }

  private static void write(Path target, String text) throws IOException {
    AtomicFile.write(target, out -> out.write(text.getBytes(StandardCharsets.UTF_8)));
  }

  private Network network() throws IOException {
    if (subject.model != null) {
      String name = subject.model.toString();
      if (Files.exists(subject.model)) {
        try (ModelFile file = ModelFile.open(subject.model)) {
          return new Network(name, file.description().architecture(), Optional.empty());
        }
      }
      if (!models.contains(name)) {
        throw new InvalidFileException(subject.model, "no such file or built-in model");
      }
      try (ModelFile file = models.open(name)) {
        return new Network(name, file.description().architecture(), Optional.empty());
      }
    }
    String variant = subject.variant == null ? "synapse" : subject.variant;
    PublishedNetwork published =
        PublishedNetwork.of(variant)
            .orElseThrow(() ->
                new ParameterException(
                    command.commandLine(),
                    "--variant is %s, expected one of %s"
                        .formatted(variant, String.join(", ", PublishedNetwork.names()))));
    return new Network(variant, published.architecture(), Optional.of(published));
  }

  /** A process that takes more than there is would be killed without a word. */
  private static void requireMemory(Network network, int batch) {
    long needed = TrainingMemory.estimateBytes(network.architecture(), batch);
    long total = MachineMemory.totalBytes();
    if (needed > total) {
      throw new CommandFailedException(
          "a training step of %s with batch %d needs about %s, and this machine has %s%s"
              .formatted(
                  network.name(),
                  batch,
                  MemorySize.text(needed),
                  MemorySize.text(total),
                  batch > 1 ? "; --batch-size 1 needs less" : ""));
    }
  }

  private void forward(Network network, Device chosen, BenchmarkReport report) {
    try (ForwardPass pass =
        new ForwardPass(network.architecture(), chosen, device.threads(), device.computeType())) {
      List<Double> seconds = time("passes", pass::run);
      report.forward(pass.describe(), seconds.getFirst(), steady(seconds));
    }
    report.forwardMemory(MachineMemory.peakResidentBytes());
  }

  private void train(Network network, int batch, Device chosen, BenchmarkReport report) {
    try (TrainingStep step =
        new TrainingStep(
            network.architecture(), batch, chosen, device.threads(), device.computeType())) {
      List<Double> seconds = time("training steps", step::run);
      report.training(batch, steady(seconds));
    }
    report.trainingMemory(MachineMemory.peakResidentBytes());
  }

  /** Seconds of the first run, another that warms up, and as many as are to be measured. */
  private List<Double> time(String what, Runnable work) {
    List<Double> seconds = new ArrayList<>();
    int warmups = 2;
    for (int run = 0; run < warmups + passes; run++) {
      if (Interruption.requested()) {
        throw new CancellationException();
      }
      console().progress(what, run, warmups + passes);
      long start = System.nanoTime();
      work.run();
      seconds.add((System.nanoTime() - start) * NANOS);
    }
    return seconds;
  }

  private Spread steady(List<Double> seconds) {
    return Spread.of(seconds.subList(seconds.size() - passes, seconds.size()));
  }
}
