package org.unetrpp.bench.peers;

import com.google.gson.GsonBuilder;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.unetrpp.model.Architecture;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Command line of the comparison: prints a table, and writes a record where asked. */
@Command(
    name = "bench/peers/run",
    description = "Compares the time of a forward pass among contestants.",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    sortOptions = false)
final class Main implements Callable<Integer> {
  @Spec
  @SuppressWarnings("NullAway.Init") // picocli sets it
  private CommandSpec spec;

  @Option(names = "--variant", description = "a published network")
  private String variant = "synapse";

  @Option(
      names = "--contestants",
      split = ",",
      description =
          "names in the order of their passes, of engine, onnxruntime, torch, torch-tuned")
  private List<String> contestants = List.of("engine", "onnxruntime", "torch", "torch-tuned");

  @Option(names = "--threads", description = "threads of each contestant")
  private int threads = 2;

  @Option(names = "--warmups", description = "passes before the first round")
  private int warmups = 3;

  @Option(names = "--rounds", description = "rounds without foreign load that are wanted")
  private int rounds = 9;

  @Option(names = "--most-rounds", description = "rounds after which it ends in any case")
  private int mostRounds = 25;

  @Option(
      names = "--patience",
      description = "seconds that each round or warm-up may wait for other processes to rest")
  private int patienceSeconds = 30;

  @Option(
      names = "--jvm-options",
      split = " ",
      description = "options of the JVM of each contestant's process")
  private List<String> jvmOptions =
      List.of("--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC");

  @Option(names = "--exports", description = "folder of what export.py wrote")
  private Path exports = Path.of("target", "exports");

  @Option(names = "--commit", description = "commit of the sources, for the record")
  private String commit = "unknown";

  @Option(names = "--record", description = "writes NAME.json and NAME.md", paramLabel = "NAME")
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

  private String command() {
    return "bench/peers/run --variant %s --contestants %s --threads %d --rounds %d"
        .formatted(variant, String.join(",", contestants), threads, rounds);
  }

  @Override
  public Integer call() throws IOException {
    if (Architecture.published(variant).isEmpty()) {
      throw new IllegalArgumentException(
          "variant is %s, expected one of %s".formatted(variant, Architecture.publishedNames()));
    }
    PrintWriter out = spec.commandLine().getOut();
    PrintWriter err = spec.commandLine().getErr();
    Results results =
        Comparison.run(
            new Comparison.Plan(
                contestants.stream().map(ContestantKind::of).toList(),
                new Setup(variant, exports.toAbsolutePath(), threads),
                jvmOptions,
                warmups,
                rounds,
                mostRounds,
                patienceSeconds,
                commit,
                command()),
            err::println);
    String table = MarkdownTable.of(results);
    if (record != null) {
      String json = new GsonBuilder().setPrettyPrinting().create().toJson(results);
      Files.writeString(Path.of(record + ".json"), json + "\n");
      Files.writeString(Path.of(record + ".md"), table);
    }
    out.print(table);
    out.flush();
    return 0;
  }
}
