package org.unetrpp.bench.peers;

import com.google.gson.GsonBuilder;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Command line of the comparison: prints a table, and writes a record where asked. */
@Command(
    name = "bench/peers/run",
    description = "Compares the time of a forward pass or training step among contestants.",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    sortOptions = false)
final class Main implements Callable<Integer> {
  private static final String ALL = "all";

  /** The published networks that peers know; the form for BTCV is synapse's. */
  private static final List<String> VARIANTS = List.of("synapse", "acdc", "lung", "tumor");

  @Spec
  @SuppressWarnings("NullAway.Init") // picocli sets it
  private CommandSpec spec;

  @Option(names = "--what", description = "forward, training or all")
  private String what = "forward";

  @Option(names = "--variant", description = "synapse, acdc, lung, tumor or all")
  private String variant = "synapse";

  @Option(
      names = "--contestants",
      split = ",",
      description = {
        "names in the order of their passes, of engine, engine-onednn, engine-avx2,"
            + " onnxruntime, torch, torch-tuned, pytorch, pytorch-tuned;"
            + " for training of the engine's and pytorch's"
      },
      showDefaultValue = CommandLine.Help.Visibility.NEVER)
  private @Nullable List<String> contestants;

  @Option(names = "--threads", description = "threads of each contestant")
  private int threads = 2;

  @Option(names = "--warmups", description = "passes before the first round")
  private int warmups = 3;

  @Option(names = "--rounds", description = "rounds without foreign load that are wanted")
  private int rounds = 9;

  @Option(names = "--most-rounds", description = "rounds after which it ends in any case")
  private int mostRounds = 25;

  @Option(
      names = "--foreign",
      paramLabel = "N",
      description = "busy processes of its own beside a second turn of each round")
  private int foreignProcesses;

  @Option(
      names = "--patience",
      description = "seconds that each round or warm-up may wait for other processes to rest")
  private int patienceSeconds = 30;

  @Option(
      names = "--jvm-options",
      split = " ",
      description = "options of the JVM of each contestant's process")
  private List<String> jvmOptions =
      List.of("--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC", "-XX:MaxNewSize=16m");

  @Option(
      names = "--engine-options",
      split = " ",
      description = "more options of the JVMs of this project's contestants")
  private List<String> engineOptions = List.of();

  @Option(names = "--python", description = "a Python that has PyTorch")
  private String python = Objects.requireNonNullElse(System.getenv("PYTHON"), "/usr/bin/python3");

  @Option(names = "--exports", description = "folder of what export.py wrote")
  private Path exports = Path.of("target", "exports");

  @Option(names = "--commit", description = "commit of the sources, for the record")
  private String commit = "unknown";

  @Option(
      names = "--record",
      description = "writes PREFIX-WHAT-VARIANT.json and .md",
      paramLabel = "PREFIX")
  private @Nullable Path record;

  public static void main(String[] arguments) {
    System.exit(
        new CommandLine(new Main())
            .setExecutionExceptionHandler((exception, command, _) -> {
              command.getErr().println(exception.getMessage());
              return 1;
            })
            .execute(arguments));
  }

  @Override
  public Integer call() throws IOException {
    List<Comparison.Plan> plans = new ArrayList<>(); // all checked before the first of them runs
    for (What each : What.of(what)) {
      for (String network : variants()) {
        plans.add(plan(each, network));
      }
    }
    for (Comparison.Plan plan : plans) {
      run(plan);
    }
    return 0;
  }

  private List<String> variants() {
    if (variant.equals(ALL)) {
      return VARIANTS;
    }
    if (!VARIANTS.contains(variant)) {
      throw new IllegalArgumentException(
          "variant is %s, expected one of %s or %s".formatted(variant, VARIANTS, ALL));
    }
    return List.of(variant);
  }

  private Comparison.Plan plan(What each, String network) {
    List<ContestantKind> kinds =
        contestants == null
            ? ContestantKind.usual(each)
            : contestants.stream().map(ContestantKind::of).toList();
    return new Comparison.Plan(
        kinds,
        new Setup(each, network, exports.toAbsolutePath(), threads),
        new Launch(jvmOptions, engineOptions, python, Path.of("worker.py").toAbsolutePath()),
        warmups,
        rounds,
        mostRounds,
        foreignProcesses,
        patienceSeconds,
        commit,
        command(each, network, kinds));
  }

  private String command(What each, String network, List<ContestantKind> kinds) {
    String text =
        "bench/peers/run --what %s --variant %s --contestants %s --threads %d --warmups %d --rounds %d"
            .formatted(
                each.label(),
                network,
                String.join(",", kinds.stream().map(ContestantKind::label).toList()),
                threads,
                warmups,
                rounds);
    String load = foreignProcesses > 0 ? " --foreign " + foreignProcesses : "";
    String options =
        engineOptions.isEmpty()
            ? ""
            : " --engine-options '%s'".formatted(String.join(" ", engineOptions));
    return text + load + options;
  }

  private void run(Comparison.Plan plan) throws IOException {
    PrintWriter out = spec.commandLine().getOut();
    PrintWriter err = spec.commandLine().getErr();
    Results results = Comparison.run(plan, err::println);
    String table = MarkdownTable.of(results);
    if (record != null) {
      String name =
          Stream.of(record.toString(), results.what(), results.variant())
              .reduce((left, right) -> left + "-" + right)
              .orElseThrow();
      String json = new GsonBuilder().setPrettyPrinting().create().toJson(results);
      Files.writeString(Path.of(name + ".json"), json + "\n");
      Files.writeString(Path.of(name + ".md"), table);
    }
    out.print(table);
    out.flush();
  }
}
