package org.unetrpp.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.unetrpp.benchmark.Spread;
import org.unetrpp.files.InvalidFileException;

/**
 * The tables of speed in README.md, made from the records of {@code bench/peers/run}. A pass's time
 * is given as a multiple of the engine's in the same round: median and range over the rounds.
 */
final class SpeedTable {
  /** Line before the tables in README.md. */
  static final String BEGIN =
      "<!-- Written by bench/results/table from the records, down to the next such line. -->";

  /** Line after them. */
  static final String END = "<!-- End of what bench/results/table writes. -->";

  private static final double GIB = 1024.0 * 1024 * 1024;
  private static final String NONE = "–";
  private static final String TUNED = "-tuned";

  /** What is compared, and networks, in the order of the rows. */
  private static final List<String> ORDER =
      List.of("forward", "training", "synapse", "acdc", "lung", "tumor");

  private final SequencedMap<String, SpeedRecord> records;
  private final String folder;

  private SpeedTable(SequencedMap<String, SpeedRecord> records, String folder) {
    this.records = records;
    this.folder = folder;
  }

  /** Arguments: README.md, and the folder of the records as it links to it. */
  public static void main(String[] arguments) throws IOException {
    if (arguments.length != 2) {
      System.err.println("expected README.md and the folder of the records");
      System.exit(2);
    }
    Path readme = Path.of(arguments[0]);
    Path parent = readme.toAbsolutePath().getParent();
    Path results = Path.of(arguments[1]).toAbsolutePath();
    String links = parent == null ? arguments[1] : parent.relativize(results).toString();
    String text = Files.readString(readme);
    String updated = inserted(readme, text, of(results, links));
    if (!updated.equals(text)) {
      Files.writeString(readme, updated);
    }
  }

  /**
   * The tables of a folder's records.
   *
   * @param links the folder as README.md links to it
   * @throws InvalidFileException if a file is no record
   */
  static String of(Path results, String links) throws IOException {
    List<Path> files;
    try (Stream<Path> all = Files.list(results)) {
      files =
          all.filter(path -> fileName(path).matches("cpu-(forward|training)-\\w+\\.json")).toList();
    }
    SequencedMap<String, SpeedRecord> records =
        new TreeMap<>(Comparator.comparing(SpeedTable::position));
    for (Path file : files) {
      records.put(fileName(file).replace(".json", ""), SpeedRecord.read(file));
    }
    if (records.isEmpty()) {
      throw new InvalidFileException(results, "no records, expected cpu-forward-NETWORK.json");
    }
    return new SpeedTable(records, links).text();
  }

  private static String fileName(Path path) {
    return String.valueOf(path.getFileName());
  }

  private static String position(String record) {
    return Stream.of(record.split("-", -1))
        .map(word -> ORDER.contains(word) ? "" + ORDER.indexOf(word) : word)
        .collect(Collectors.joining("-"));
  }

  /**
   * A text with {@code tables} between its two marks.
   *
   * @throws InvalidFileException if a mark is missing
   */
  static String inserted(Path readme, String text, String tables) throws InvalidFileException {
    int begin = text.indexOf(BEGIN + "\n");
    int end = text.indexOf(END + "\n");
    if (begin < 0 || end < begin) {
      throw new InvalidFileException(
          readme, "expected a line '" + BEGIN + "' and one '" + END + "'");
    }
    return text.substring(0, begin + BEGIN.length() + 1) + tables + text.substring(end);
  }

  private String text() {
    String tables = times();
    if (records.values().stream().anyMatch(record -> record.foreignProcesses() > 0)) {
      tables += "\n" + slowdowns();
    }
    return tables;
  }

  private String times() {
    List<String> others =
        names(records.values().stream()).filter(name -> !name.equals(SpeedRecord.ENGINE)).toList();
    List<List<String>> rows = new ArrayList<>();
    List<String> header = new ArrayList<>(List.of("float32", "this engine"));
    others.forEach(name -> header.add(title(name)));
    header.add("rounds, commit");
    rows.add(header);
    records.forEach((file, record) -> {
      List<String> row = new ArrayList<>();
      row.add("%s, %s".formatted(record.variant(), what(record)));
      row.add(format("**%.2f s**, ", record.engine().medianSeconds()) + memory(record.engine()));
      for (String name : others) {
        row.add(
            record
                .timesTheEngine(name)
                .map(times -> spread(times) + ", " + record.find(name).map(this::memory).orElse(""))
                .orElse(NONE));
      }
      row.add("%s, [%s](%s/%s.md)".formatted(rounds(record), record.commit(), folder, file));
      rows.add(row);
    });
    return markdown(rows)
        + "\nMedian time and peak memory here; of the others, how many times as long they take in"
        + " the same rounds (range), and their memory.\n"
        + machines()
        + "\n";
  }

  private String slowdowns() {
    List<SpeedRecord> loaded =
        records.values().stream().filter(record -> record.foreignProcesses() > 0).toList();
    List<String> names = names(loaded.stream()).toList();
    List<List<String>> rows = new ArrayList<>();
    List<String> header = new ArrayList<>(List.of("beside busy processes"));
    names.forEach(name -> header.add(title(name)));
    rows.add(header);
    for (SpeedRecord record : loaded) {
      List<String> row = new ArrayList<>();
      row.add(
          "%s, %s, beside %d".formatted(record.variant(), what(record), record.foreignProcesses()));
      for (String name : names) {
        row.add(
            record
                .find(name)
                .flatMap(entry -> Optional.ofNullable(entry.slowdown()))
                .map(SpeedTable::spread)
                .orElse(NONE));
      }
      rows.add(row);
    }
    return markdown(rows) + "\nHow many times as long each takes as without them (range).\n";
  }

  /** The contestants of records in the order in which they take part. */
  private static Stream<String> names(Stream<SpeedRecord> of) {
    return of.flatMap(record -> record.contestants().stream())
        .map(SpeedRecord.Entry::name)
        .distinct();
  }

  private static String what(SpeedRecord record) {
    return record.what().equals("forward") ? "a patch" : "a training step of " + record.batch();
  }

  private static String rounds(SpeedRecord record) {
    int all = record.engine().passes().size();
    return record.overAllRounds()
        ? "%d, none undisturbed".formatted(all)
        : "%d of %d".formatted(record.cleanRounds(), all);
  }

  /** A column's head: the name of what is ours, the version of what is not. */
  private String title(String name) {
    if (name.equals(SpeedRecord.ENGINE)) {
      return "this engine";
    }
    if (name.startsWith(SpeedRecord.ENGINE)) {
      return name;
    }
    String versions =
        records.values().stream()
            .flatMap(record -> record.find(name).stream())
            .map(SpeedRecord.Entry::version)
            .distinct()
            .collect(Collectors.joining(" / "));
    return name.endsWith(TUNED) ? versions + ", malloc tuned" : versions;
  }

  private String machines() {
    return records.values().stream()
            .map(record ->
                "%d threads of %s, %d processors"
                    .formatted(
                        record.threads(),
                        record.machine().processor(),
                        record.machine().processors()))
            .distinct()
            .collect(Collectors.joining("; "))
        + ".";
  }

  private String memory(SpeedRecord.Entry entry) {
    return format("%.2f GiB", entry.passPeakResidentBytes() / GIB);
  }

  private static String spread(Spread spread) {
    return format("%.2f", spread.median())
        + format(" (%.2f", spread.smallest())
        + format(" to %.2f)", spread.largest());
  }

  private static String markdown(List<List<String>> rows) {
    List<String> lines =
        new ArrayList<>(rows.stream().map(row -> "| " + String.join(" | ", row) + " |\n").toList());
    lines.add(1, "| --- ".repeat(rows.getFirst().size()) + "|\n");
    return String.join("", lines);
  }

  private static String format(String pattern, double value) {
    return String.format(Locale.ROOT, pattern, value);
  }
}
