package org.unetrpp.backend.cuda;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.unetrpp.files.AtomicFile;

/**
 * Who computes what on one device with certain versions of its libraries, and by which algorithm,
 * or how kernels are launched, in memory and in a file. A file that cannot be read or written costs
 * measuring again, nothing else.
 */
final class ChoiceTable {
  private static final int FORMAT = 1;
  private static final Gson GSON =
      new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create();

  private final @Nullable Path file;
  private final Consumer<String> log;
  private final Map<String, Choice> choices = new TreeMap<>();
  private final Map<String, Integer> algorithms = new TreeMap<>();
  private boolean writable = true;

  /**
   * A choice and what it was made by.
   *
   * @param millis what providers took, by name
   * @param problems why others were dropped, by name
   */
  private record Choice(
      String provider, Map<String, Double> millis, Map<String, String> problems) {}

  private ChoiceTable(@Nullable Path file, Consumer<String> log) {
    this.file = file;
    this.log = log;
  }

  /** A table that is forgotten with the process. */
  static ChoiceTable inMemory() {
    return new ChoiceTable(null, _ -> {});
  }

  /**
   * The table of a file, empty if there is none yet.
   *
   * @param log takes what is wrong with the file, a line each
   */
  static ChoiceTable of(Path file, Consumer<String> log) {
    ChoiceTable table = new ChoiceTable(file, log);
    try {
      table.addMissing(read(file));
    } catch (IOException | JsonParseException e) {
      log.accept("%s is ignored: %s".formatted(file, e.getMessage()));
    }
    return table;
  }

  /**
   * The table of a file that came with this class, empty if there is none.
   *
   * @throws JsonParseException if it is no such table
   */
  static ChoiceTable shipped(String name) {
    try (InputStream in = ChoiceTable.class.getResourceAsStream(name)) {
      return in == null ? inMemory() : parsed(new String(in.readAllBytes(), UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException("%s cannot be read".formatted(name), e);
    }
  }

  /** Name of the provider chosen for a work, or nothing. */
  @Nullable String provider(String key) {
    Choice choice = choices.get(key);
    return choice == null ? null : choice.provider();
  }

  /** Keeps a choice. */
  void choose(
      String key, String provider, Map<String, Double> millis, Map<String, String> problems) {
    choices.put(key, new Choice(provider, millis, problems));
    save();
  }

  /** Number of the algorithm chosen for a work. */
  OptionalInt algorithm(String key) {
    Integer algorithm = algorithms.get(key);
    return algorithm == null ? OptionalInt.empty() : OptionalInt.of(algorithm);
  }

  /** Keeps an algorithm. */
  void chooseAlgorithm(String key, int algorithm) {
    algorithms.put(key, algorithm);
    save();
  }

  private void save() {
    if (file == null || !writable) {
      return;
    }
    try {
      addWhatOthersWrote(file);
      Path folder = file.toAbsolutePath().getParent();
      if (folder != null) {
        Files.createDirectories(folder);
      }
      byte[] text = (GSON.toJson(json()) + "\n").getBytes(UTF_8);
      AtomicFile.write(file, out -> out.write(text));
    } catch (IOException e) {
      writable = false; // once is enough to say it
      log.accept("choices of providers are not kept: " + e.getMessage());
    }
  }

  /** Another process may have written since. */
  private void addWhatOthersWrote(Path path) throws IOException {
    try {
      addMissing(read(path));
    } catch (JsonParseException e) {
      // It was said when the table was made, or the file is being tampered with: written anew.
    }
  }

  private JsonObject json() {
    JsonObject json = new JsonObject();
    json.addProperty("format", FORMAT);
    json.add("choices", GSON.toJsonTree(choices));
    json.add("algorithms", GSON.toJsonTree(algorithms));
    return json;
  }

  private void addMissing(ChoiceTable other) {
    other.choices.forEach(choices::putIfAbsent);
    other.algorithms.forEach(algorithms::putIfAbsent);
  }

  /**
   * What a file says; nothing if it is not there.
   *
   * @throws JsonParseException if it is no such table
   */
  private static ChoiceTable read(Path file) throws IOException {
    try {
      return parsed(Files.readString(file));
    } catch (NoSuchFileException e) {
      return inMemory();
    } catch (CharacterCodingException e) {
      throw new JsonParseException("not a table of choices: " + e.getMessage(), e);
    }
  }

  private static ChoiceTable parsed(String text) {
    ChoiceTable table = inMemory();
    try {
      JsonObject json = JsonParser.parseString(text).getAsJsonObject();
      if (member(json, "format").getAsInt() != FORMAT) {
        throw new JsonParseException("not of format " + FORMAT);
      }
      JsonObject choices = member(json, "choices").getAsJsonObject();
      choices.asMap().forEach((key, value) -> table.choices.put(key, choice(value)));
      JsonObject algorithms = member(json, "algorithms").getAsJsonObject();
      algorithms.asMap().forEach((key, value) -> table.algorithms.put(key, value.getAsInt()));
      return table;
    } catch (IllegalStateException | NumberFormatException | UnsupportedOperationException e) {
      throw new JsonParseException("not a table of choices: " + e.getMessage(), e);
    }
  }

  private static JsonElement member(JsonObject json, String name) {
    JsonElement member = json.get(name);
    if (member == null) {
      throw new JsonParseException("not a table of choices: it has no " + name);
    }
    return member;
  }

  private static Choice choice(JsonElement value) {
    Choice choice = GSON.fromJson(value, Choice.class);
    if (choice == null || choice.provider() == null) {
      throw new JsonParseException("a choice without a provider");
    }
    return new Choice(choice.provider(), orEmpty(choice.millis()), orEmpty(choice.problems()));
  }

  private static <V> Map<String, V> orEmpty(@Nullable Map<String, V> map) {
    return map == null ? Map.of() : map;
  }
}
