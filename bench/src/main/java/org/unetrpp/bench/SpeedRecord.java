package org.unetrpp.bench;

import com.google.gson.Gson;
import com.google.gson.JsonParseException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.unetrpp.benchmark.Spread;
import org.unetrpp.files.InvalidFileException;

/**
 * What the speed table needs of a record of {@code bench/peers/run}, whose {@code Results} say what
 * each figure is.
 */
record SpeedRecord(
    String what,
    String commit,
    Machine machine,
    String variant,
    int batch,
    int threads,
    int foreignProcesses,
    int cleanRounds,
    boolean overAllRounds,
    List<Entry> contestants,
    List<Ratio> ratios) {
  /** The contestant that the others are compared with. */
  static final String ENGINE = "engine";

  /** Where it ran. */
  record Machine(String processor, int processors) {}

  /** One contestant. */
  record Entry(
      String name,
      String version,
      long passPeakResidentBytes,
      double medianSeconds,
      @Nullable Spread slowdown,
      List<Object> passes) {}

  /** How many times as long {@code name} takes as {@code by}. */
  record Ratio(String name, String by, double median, double smallest, double largest) {}

  /**
   * Reads a record.
   *
   * @throws InvalidFileException if the file is none
   */
  static SpeedRecord read(Path path) throws IOException {
    SpeedRecord record;
    try {
      record = new Gson().fromJson(Files.readString(path), SpeedRecord.class);
    } catch (JsonParseException e) {
      throw new InvalidFileException(path, "no JSON: " + e.getMessage(), e);
    }
    if (record == null || record.isIncomplete() || record.find(ENGINE).isEmpty()) {
      throw new InvalidFileException(path, "no record of bench/peers/run with the engine");
    }
    return record;
  }

  /** Gson leaves what a file lacks empty, whatever the types say. */
  private boolean isIncomplete() {
    return Stream.of(what, commit, machine, variant, contestants, ratios).anyMatch(Objects::isNull);
  }

  /** A contestant, if it took part. */
  Optional<Entry> find(String name) {
    return contestants.stream().filter(entry -> entry.name().equals(name)).findFirst();
  }

  /** The engine. */
  Entry engine() {
    return find(ENGINE).orElseThrow();
  }

  /** How many times as long a contestant takes as the engine, if both took part. */
  Optional<Spread> timesTheEngine(String name) {
    return ratios.stream()
        .filter(ratio -> ratio.name().equals(name) && ratio.by().equals(ENGINE))
        .map(ratio -> new Spread(ratio.median(), ratio.smallest(), ratio.largest()))
        .findFirst();
  }
}
