package org.unetrpp.dataset;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.unetrpp.files.InvalidFileException;

/**
 * What a {@code dataset.json} says, in the form of the Medical Segmentation Decathlon ({@code
 * modality}, labels by value, a {@code training} list) or in the later one of nnU-Net ({@code
 * channel_names}, labels by name, no list).
 *
 * @param name of the data set; null if it says none
 * @param channels names of the channels
 * @param labels by ascending value, background included
 * @param training image and label of each case; empty if they are to be found in the folders
 */
record DatasetDescription(
    @Nullable String name, List<String> channels, List<DatasetLabel> labels, List<Pair> training) {
  static final String FILE_NAME = "dataset.json";

  /** Paths of a case's files, as they stand in the list. */
  record Pair(String image, String label) {}

  DatasetDescription {
    channels = List.copyOf(channels);
    labels = List.copyOf(labels);
    training = List.copyOf(training);
  }

  /**
   * Reads a {@code dataset.json}.
   *
   * @throws InvalidFileException if it is no JSON object, or lacks channels or labels, or says what
   *     cannot be
   */
  static DatasetDescription read(Path path) throws IOException {
    return new Reader(path).read();
  }

  private record Reader(Path path) {
    DatasetDescription read() throws IOException {
      JsonObject root = object(parse(), "the file");
      JsonElement name = root.get("name");
      return new DatasetDescription(
          name != null && name.isJsonPrimitive() ? name.getAsString() : null,
          channels(root),
          labels(root),
          training(root));
    }

    private JsonElement parse() throws IOException {
      try {
        return JsonParser.parseString(Files.readString(path, StandardCharsets.UTF_8));
      } catch (JsonParseException | java.nio.charset.CharacterCodingException e) {
        throw new InvalidFileException(path, "is no JSON: " + e.getMessage(), e);
      }
    }

    private List<String> channels(JsonObject root) throws InvalidFileException {
      String key = root.has("channel_names") ? "channel_names" : "modality";
      Map<Integer, String> byNumber = new TreeMap<>();
      for (Map.Entry<String, JsonElement> entry : member(root, key).entrySet()) {
        byNumber.put(number(entry.getKey(), key), text(entry.getValue(), key));
      }
      List<String> channels = new ArrayList<>();
      for (Map.Entry<Integer, String> entry : byNumber.entrySet()) {
        if (entry.getKey() != channels.size()) {
          throw new InvalidFileException(
              path,
              "'%s' has no channel %d, but a channel %d"
                  .formatted(key, channels.size(), entry.getKey()));
        }
        channels.add(entry.getValue());
      }
      if (channels.isEmpty()) {
        throw new InvalidFileException(path, "'%s' names no channel".formatted(key));
      }
      return channels;
    }

    private List<DatasetLabel> labels(JsonObject root) throws InvalidFileException {
      List<DatasetLabel> labels = new ArrayList<>();
      for (Map.Entry<String, JsonElement> entry : member(root, "labels").entrySet()) {
        DatasetLabel label = label(entry.getKey(), entry.getValue());
        if (labels.stream().anyMatch(other -> other.value() == label.value())) {
          throw new InvalidFileException(
              path, "'labels' names two classes of value " + label.value());
        }
        labels.add(label);
      }
      if (labels.stream().noneMatch(label -> label.value() == 0)) {
        labels.add(new DatasetLabel(0, "background"));
      }
      if (labels.size() < 2) {
        throw new InvalidFileException(path, "'labels' names nothing but background");
      }
      labels.sort(Comparator.comparingInt(DatasetLabel::value));
      return labels;
    }

    /** A label as {@code "1": "liver"} or as {@code "liver": 1}. */
    private DatasetLabel label(String key, JsonElement value) throws InvalidFileException {
      boolean byName = value.isJsonPrimitive() && value.getAsJsonPrimitive().isNumber();
      if (!byName && !key.matches("\\d+")) {
        throw new InvalidFileException(
            path, "'labels' gives '%s' as %s, expected one whole number".formatted(key, value));
      }
      String name = byName ? key : text(value, "labels");
      if (name.equals("ignore")) {
        throw new InvalidFileException(
            path, "'labels' has a label 'ignore', which cannot be left out of training");
      }
      try {
        return new DatasetLabel(number(byName ? value.getAsString() : key, "labels"), name);
      } catch (IllegalArgumentException e) {
        throw new InvalidFileException(path, "'labels': " + e.getMessage(), e);
      }
    }

    private List<Pair> training(JsonObject root) throws InvalidFileException {
      JsonElement training = root.get("training");
      List<Pair> pairs = new ArrayList<>();
      if (training == null) {
        return pairs;
      }
      if (!(training instanceof JsonArray list)) {
        throw new InvalidFileException(path, "'training' is no list");
      }
      for (JsonElement element : list) {
        JsonObject entry = object(element, "an entry of 'training'");
        pairs.add(
            new Pair(
                text(entry.get("image"), "training: image"),
                text(entry.get("label"), "training: label")));
      }
      return pairs;
    }

    private JsonObject member(JsonObject root, String key) throws InvalidFileException {
      JsonElement member = root.get(key);
      if (member == null) {
        throw new InvalidFileException(path, "has no '%s'".formatted(key));
      }
      return object(member, "'" + key + "'");
    }

    private JsonObject object(JsonElement element, String what) throws InvalidFileException {
      if (element instanceof JsonObject object) {
        return object;
      }
      throw new InvalidFileException(path, what + " is no JSON object");
    }

    private int number(String text, String key) throws InvalidFileException {
      if (!text.matches("\\d{1,4}")) {
        throw new InvalidFileException(
            path, "'%s' has %s, expected a small whole number".formatted(key, text));
      }
      return Integer.parseInt(text);
    }

    private String text(@Nullable JsonElement value, String key) throws InvalidFileException {
      if (value == null || !value.isJsonPrimitive()) {
        throw new InvalidFileException(
            path, "'%s' is %s, expected a text".formatted(key, value == null ? "missing" : value));
      }
      return value.getAsString();
    }
  }
}
