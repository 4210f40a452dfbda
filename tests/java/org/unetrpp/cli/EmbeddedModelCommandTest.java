package org.unetrpp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unetrpp.image.Nifti;
import org.unetrpp.image.NiftiHeader;
import org.unetrpp.image.Volume;
import org.unetrpp.inference.EmbeddedModels;
import org.unetrpp.testing.CommandRun;
import org.unetrpp.testing.ModelFolder;
import org.unetrpp.testing.SmallModel;

class EmbeddedModelCommandTest {
  private static final String INTRODUCTION =
      "built-in model hippocampus: segments liver, spleen in CT; made for a test; "
          + "trained on noise, license CC0-1.0";

  @TempDir Path folder;
  private Path model;
  private Path image;
  private URLClassLoader loader;

  @BeforeEach
  void prepare() throws IOException {
    Path resources = folder.resolve("resources");
    model = SmallModel.writeWithAttribution(ModelFolder.model(resources, "hippocampus"));
    loader = ModelFolder.loader(resources);
    Volume volume = SmallModel.image("image", 16, 34, 34);
    image = folder.resolve("ct.nii");
    Nifti.writeVolume(image, volume, NiftiHeader.of(volume.geometry()));
  }

  @AfterEach
  void close() throws IOException {
    loader.close();
  }

  @Test
  void caseIsAllThatSegmentNeeds() throws IOException {
    CommandRun run = run("segment", image, "--no-mirroring");
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.err().getFirst()).isEqualTo(INTRODUCTION);
    Path labels = folder.resolve("ct_seg.nii.gz");
    assertThat(run.out()).containsExactly(labels.toString());
    Path other = folder.resolve("other.nii.gz");
    CommandRun named = run("segment", image, "--no-mirroring", "--model", model, "--output", other);
    assertThat(named.errorText()).doesNotContain("built-in");
    assertThat(other).hasSameBinaryContentAs(labels);
  }

  @Test
  void modelMayBeNamed() {
    CommandRun run = run("segment", image, "--no-mirroring", "--model", "hippocampus");
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.err().getFirst()).isEqualTo(INTRODUCTION);
    CommandRun wrong = run("segment", image, "--model", "hippocampos");
    assertThat(wrong.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(wrong.err()).containsExactly("error: hippocampos: no such file or built-in model");
  }

  @Test
  void introductionIsFieldsForPrograms() {
    CommandRun run = run("segment", image, "--no-mirroring", "--log", "json");
    JsonObject message = JsonParser.parseString(run.err().getFirst()).getAsJsonObject();
    assertThat(message.get("model").getAsString()).isEqualTo("hippocampus");
    assertThat(message.get("message").getAsString()).isEqualTo(INTRODUCTION);
    assertThat(message.getAsJsonArray("segments")).hasSize(2);
    assertThat(message.get("license").getAsString()).isEqualTo("CC0-1.0");
    assertThat(message.get("citation").getAsString()).isEqualTo("Nobody et al. 2026");
  }

  @Test
  void infoSaysOfABuiltInModelWhatItSaysOfItsFile() {
    CommandRun named = run("info", "hippocampus");
    assertThat(named.exitCode()).as(named.errorText()).isZero();
    assertThat(named.out()).isEqualTo(run("info", model).out());
    assertThat(named.text()).contains("CC0-1.0", "noise", "Nobody et al. 2026");
  }

  @Test
  void buildWithoutModelAsksForOne() throws IOException {
    Files.delete(model);
    CommandRun run = run("segment", image);
    assertThat(run.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(run.err())
        .containsExactly(
            "error: this build contains no model, so --model is needed",
            "see: unetrpp segment --help");
    assertThat(run("info", "hippocampus").err())
        .containsExactly("error: hippocampus: no such file");
  }

  @Test
  void damagedBuiltInModelIsRefused() throws IOException {
    Files.write(model, Arrays.copyOf(Files.readAllBytes(model), 5000));
    CommandRun run = run("segment", image);
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err())
        .singleElement()
        .asString()
        .startsWith("error: org/unetrpp/models/hippocampus.safetensors: ");
  }

  private CommandRun run(Object... arguments) {
    String[] texts = Arrays.stream(arguments).map(Object::toString).toArray(String[]::new);
    return CommandRun.during(() -> Main.run(EmbeddedModels.of(loader), texts));
  }
}
