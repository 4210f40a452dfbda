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
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.stream.Collectors;
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
 * @param regions labels that the file takes together, as it names them; empty if it names labels
 * @param training image and label of each case; empty if they are to be found in the folders
 * @param trainingCount how many cases it says there are; empty if it does not
 */
record DatasetDescription(
    @Nullable String name,
    List<String> channels,
    List<DatasetLabel> labels,
    Map<String, List<Integer>> regions,
    List<Pair> training,
    OptionalInt trainingCount) {
  static final String FILE_NAME = "dataset.json";

  /** Paths of a case's files, as they stand in the list. */
  record Pair(String image, String label) {}

  DatasetDescription {
    channels = List.copyOf(channels);
    labels = List.copyOf(labels);
    regions = Collections.unmodifiableMap(new LinkedHashMap<>(regions));
    training = List.copyOf(training);
  }

  /**
   * What a person should know.
   *
   * @param cases how many were found
   */
  List<String> remarks(int cases) {
    List<String> remarks = new ArrayList<>();
    if (training.isEmpty() && trainingCount.isPresent() && trainingCount.getAsInt() != cases) {
      remarks.add(
          "'numTraining' is %d, but %d cases are there".formatted(trainingCount.getAsInt(), cases));
    }
    if (!regions.isEmpty()) {
      remarks.add(
          ("'labels' names regions; trained are the labels they are made of, "
                  + "and evaluate takes them together by --regions '%s'")
              .formatted(regionText()));
    }
    return remarks;
  }

  private String regionText() {
    return regions.entrySet().stream()
        .map(region ->
            region.getKey()
                + "="
                + region.getValue().stream().map(String::valueOf).collect(Collectors.joining("+")))
        .collect(Collectors.joining(","));
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
      requireNifti(root);
      JsonElement name = root.get("name");
      return new DatasetDescription(
          name != null && name.isJsonPrimitive() ? name.getAsString() : null,
          channels(root),
          labels(root),
          regions(root),
          training(root),
          trainingCount(root));
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

    private void requireNifti(JsonObject root) throws InvalidFileException {
      JsonElement ending = root.get("file_ending");
      if (ending != null && !text(ending, "file_ending").matches("(?i)\\.nii(\\.gz)?")) {
        throw new InvalidFileException(
            path,
            "'file_ending' is %s, expected .nii.gz or .nii: convert the files to NIfTI"
                .formatted(ending));
      }
    }

    private OptionalInt trainingCount(JsonObject root) {
      JsonElement count = root.get("numTraining");
      return count != null && count.isJsonPrimitive() && count.getAsString().matches("\\d{1,9}")
          ? OptionalInt.of(Integer.parseInt(count.getAsString()))
          : OptionalInt.empty();
    }

    /** Labels taken together, such as {@code "tumor core": [2, 3]}; none if no entry is a list. */
    private Map<String, List<Integer>> regions(JsonObject root) throws InvalidFileException {
      Map<String, List<Integer>> regions = new LinkedHashMap<>();
      JsonObject labels = member(root, "labels");
      if (labels.asMap().values().stream().noneMatch(JsonElement::isJsonArray)) {
        return regions;
      }
      for (Map.Entry<String, JsonElement> entry : labels.entrySet()) {
        List<Integer> values = new ArrayList<>();
        List<JsonElement> parts =
            entry.getValue() instanceof JsonArray list ? list.asList() : List.of(entry.getValue());
        for (JsonElement part : parts) {
          values.add(number(text(part, "labels: " + entry.getKey()), "labels"));
        }
        if (!values.equals(List.of(0))) {
          regions.put(entry.getKey(), values);
        }
      }
      return regions;
    }

    /** Each label that a region is made of, by the name of the smallest such region. */
    private List<DatasetLabel> labelsOf(Map<String, List<Integer>> regions)
        throws InvalidFileException {
      Map<Integer, String> names = new TreeMap<>();
      regions.entrySet().stream()
          .sorted(Comparator.comparingInt(region -> region.getValue().size()))
          .forEach(region ->
              region.getValue().forEach(value -> names.putIfAbsent(value, region.getKey())));
      List<DatasetLabel> labels = new ArrayList<>();
      for (Map.Entry<Integer, String> entry : names.entrySet()) {
        boolean shared = Collections.frequency(names.values(), entry.getValue()) > 1;
        String name = shared ? entry.getValue() + " " + entry.getKey() : entry.getValue();
        labels.add(label(entry.getKey(), name));
      }
      return labels;
    }

    private List<DatasetLabel> labels(JsonObject root) throws InvalidFileException {
      List<DatasetLabel> labels = labelsOf(regions(root));
      if (labels.isEmpty()) {
        labels.addAll(namedLabels(root));
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

    private List<DatasetLabel> namedLabels(JsonObject root) throws InvalidFileException {
      List<DatasetLabel> labels = new ArrayList<>();
      for (Map.Entry<String, JsonElement> entry : member(root, "labels").entrySet()) {
        DatasetLabel label = label(entry.getKey(), entry.getValue());
        if (labels.stream().anyMatch(other -> other.value() == label.value())) {
          throw new InvalidFileException(
              path, "'labels' names two classes of value " + label.value());
        }
        labels.add(label);
      }
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
      return label(number(byName ? value.getAsString() : key, "labels"), name);
    }

    private DatasetLabel label(int value, String name) throws InvalidFileException {
      if (name.equals("ignore")) {
        throw new InvalidFileException(
            path, "'labels' has a label 'ignore', which cannot be left out of training");
      }
      try {
        return new DatasetLabel(value, name);
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
