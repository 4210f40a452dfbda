package org.unetrpp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.testing.CommandRun;
import org.unetrpp.testing.SmallModel;
import org.unetrpp.testing.TestResources;
import org.unetrpp.weights.StoredTensor;

class InfoCommandTest {
  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"synapse", "btcv", "acdc", "lung", "tumor"})
  void publishedNetworkHasParametersAndMultiplyAddsByPart(String name) {
    JsonObject info = json(name);
    for (String key : List.of("parameters", "multiply_adds")) {
      JsonObject count = info.getAsJsonObject(key);
      long sum =
          count.getAsJsonObject("parts").asMap().values().stream()
              .mapToLong(JsonElement::getAsLong)
              .sum();
      assertThat(count.get("total").getAsLong()).isEqualTo(sum).isPositive();
    }
    assertThat(info.getAsJsonObject("architecture").get("inputChannels").getAsInt())
        .isEqualTo(name.equals("tumor") ? 4 : 1);
  }

  @Test
  void modelSaysAllAboutItselfAndItsTensors() throws IOException {
    Path model = SmallModel.write(folder.resolve("small.safetensors"), 1);
    JsonObject info = json(model);
    assertThat(info.get("format").getAsString()).isEqualTo("safetensors");
    assertThat(info.keySet())
        .contains(
            "architecture", "parameters", "multiply_adds", "labels", "preprocessing", "provenance");
    JsonObject tensors = info.getAsJsonObject("tensors");
    List<StoredTensor> expected = SmallModel.tensors(SmallModel.architecture(1));
    assertThat(tensors.keySet())
        .containsExactlyInAnyOrderElementsOf(expected.stream().map(StoredTensor::name).toList());
    for (StoredTensor tensor : expected) {
      JsonObject entry = tensors.getAsJsonObject(tensor.name());
      assertThat(entry.get("dtype").getAsString()).isEqualTo("float32");
      assertThat(entry.get("sha256").getAsString()).isEqualTo(tensor.sha256());
      assertThat(entry.getAsJsonArray("shape").asList())
          .extracting(JsonElement::getAsLong)
          .isEqualTo(tensor.shape());
    }
  }

  @Test
  void checkpointOfPyTorchIsListed() {
    JsonObject info = json(TestResources.path("made-checkpoints/views.pth"));
    assertThat(info.get("format").getAsString()).isEqualTo("zip version 3");
    JsonObject scalar = info.getAsJsonObject("tensors").getAsJsonObject("scalar");
    assertThat(scalar.get("dtype").getAsString()).isEqualTo("int8");
    assertThat(scalar.getAsJsonArray("shape")).isEmpty();
  }

  @Test
  void volumeIsSummed() {
    JsonObject info = json(TestResources.path("nifti/ibsi/phantom.nii.gz"));
    assertThat(info.keySet())
        .contains("shape", "dtype", "spacing", "affine", "axes", "min", "max", "sum");
    assertThat(info.getAsJsonArray("shape").asList())
        .extracting(JsonElement::getAsInt)
        .containsExactly(5, 4, 4);
    assertThat(info.getAsJsonArray("affine")).hasSize(4);
  }

  @Test
  void textHasALineATensor() throws IOException {
    Path model = SmallModel.write(folder.resolve("small.safetensors"), 1);
    CommandRun run = CommandRun.of("info", model);
    assertThat(run.exitCode()).isZero();
    assertThat(run.err()).isEmpty();
    assertThat(run.out())
        .filteredOn(line -> line.contains("sha256"))
        .hasSizeGreaterThanOrEqualTo(SmallModel.tensors(SmallModel.architecture(1)).size());
  }

  @Test
  void whatIsNothingKnownIsRefused() throws IOException {
    assertFails("nothing", "error: nothing: no such file");
    assertFails(folder, "error: " + folder + ": a folder, expected a file");
    Path text = Files.writeString(folder.resolve("a.txt"), "hello");
    assertFails(text, text + ": neither a model file, nor a checkpoint, nor a NIfTI volume");
    Path image = Files.writeString(folder.resolve("a.nii"), "hello");
    assertFails(image, "error: " + image + ": ");
    Path cut = Files.write(folder.resolve("cut"), new byte[] {9, 0, 0, 0, 0, 0, 0, 0, '{'});
    assertFails(cut, "error: " + cut + ": header length is 9");
  }

  private static JsonObject json(Object what) {
    CommandRun run = CommandRun.of("info", what, "--json");
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.err()).isEmpty();
    return JsonParser.parseString(run.text()).getAsJsonObject();
  }

  private static void assertFails(Object what, String problem) {
    CommandRun run = CommandRun.of("info", what);
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err()).singleElement().asString().contains(problem);
  }
}
