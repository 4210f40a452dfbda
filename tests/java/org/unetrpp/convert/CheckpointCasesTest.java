package org.unetrpp.convert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.testing.TestResources;
import org.unetrpp.weights.StoredTensor;
import org.unetrpp.weights.StoredType;
import org.unetrpp.weights.TensorFile;
import org.unetrpp.weights.TensorFiles;

/**
 * Published checkpoints against what PyTorch reads from them. {@code -Dcheckpoint.cases=FOLDER}
 * checks another folder with an {@code expected.json} instead.
 */
class CheckpointCasesTest {
  @TestFactory
  Stream<DynamicTest> everyFileGivesWhatPyTorchReads() throws IOException {
    String given = System.getProperty("checkpoint.cases");
    return given == null
        ? Stream.concat(
            cases(TestResources.path("checkpoints")), cases(TestResources.path("made-checkpoints")))
        : cases(Path.of(given));
  }

  private static Stream<DynamicTest> cases(Path folder) throws IOException {
    JsonObject expected =
        JsonParser.parseString(Files.readString(folder.resolve("expected.json"))).getAsJsonObject();
    return expected.entrySet().stream()
        .map(entry ->
            DynamicTest.dynamicTest(
                entry.getKey(),
                () -> check(folder.resolve(entry.getKey()), entry.getValue().getAsJsonObject())));
  }

  private static void check(Path path, JsonObject expected) throws IOException {
    Map<String, String> tensors = expectedTensors(expected);
    String format = expected.get("format").getAsString();
    if (!expected.has("tensors") && !expected.has("members") && !expected.has("count")) {
      assertThatThrownBy(() -> open(path))
          .isInstanceOf(InvalidFileException.class)
          .hasMessageContaining(path.toString());
      return;
    }
    try (TensorFile file = TensorFiles.open(path)) {
      assertThat(file.format()).isEqualTo(format);
      Map<String, String> found = new LinkedHashMap<>();
      for (StoredTensor tensor : file.tensors().values()) {
        found.put(
            tensor.name(),
            "%s %s %s".formatted(tensor.type().text(), tensor.shape(), tensor.sha256()));
      }
      if (expected.has("count")) {
        assertThat(found).hasSize(expected.get("count").getAsInt());
        assertThat(listingDigest(found)).isEqualTo(expected.get("listing_sha256").getAsString());
      } else {
        assertThat(found).containsExactlyEntriesOf(tensors);
      }
    }
  }

  private static String listingDigest(Map<String, String> tensors) {
    StringBuilder listing = new StringBuilder();
    tensors.forEach((name, text) -> listing.append(name).append(' ').append(text).append('\n'));
    byte[] bytes = listing.toString().getBytes(StandardCharsets.UTF_8);
    return StoredTensor.of(
            "listing", StoredType.UINT8, List.of((long) bytes.length), MemorySegment.ofArray(bytes))
        .sha256();
  }

  private static void open(Path path) throws IOException {
    try (TensorFile file = TensorFiles.open(path)) {
      assertThat(file.tensors()).as("tensors of a file to be refused").isEmpty();
    }
  }

  private static Map<String, String> expectedTensors(JsonObject expected) {
    Map<String, String> tensors = new LinkedHashMap<>();
    if (expected.has("tensors")) {
      addTensors("", expected.getAsJsonObject("tensors"), tensors);
    }
    if (expected.has("members")) {
      for (Map.Entry<String, JsonElement> member : expected.getAsJsonObject("members").entrySet()) {
        addTensors(member.getKey() + "/", member.getValue().getAsJsonObject(), tensors);
      }
    }
    return tensors;
  }

  private static void addTensors(String prefix, JsonObject from, Map<String, String> to) {
    for (Map.Entry<String, JsonElement> entry : from.entrySet()) {
      JsonObject tensor = entry.getValue().getAsJsonObject();
      to.put(
          prefix + entry.getKey(),
          "%s %s %s"
              .formatted(
                  tensor.get("dtype").getAsString(),
                  tensor.getAsJsonArray("shape").asList().stream()
                      .map(JsonElement::getAsLong)
                      .toList(),
                  tensor.get("sha256_c_order_le").getAsString()));
    }
  }
}
