package org.unetrpp.convert;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.image.Spacing;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.inference.ModelDescription;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.inference.Provenance;
import org.unetrpp.pipeline.AxisOrder;
import org.unetrpp.pipeline.ChannelPlan;
import org.unetrpp.pipeline.IntensityStatistics;
import org.unetrpp.pipeline.NormalizationScheme;
import org.unetrpp.testing.CommandRun;
import org.unetrpp.testing.SmallModel;
import org.unetrpp.testing.TestResources;
import org.unetrpp.weights.StoredTensor;
import org.unetrpp.weights.StoredType;

class ConvertCommandTest {
  private static final Path TRAINING = TestResources.path("made-checkpoints/training.model");
  private static final Path SIDE_FILE = TestResources.path("made-checkpoints/training.model.pkl");

  @TempDir Path folder;

  @Test
  void sideFileSaysHowImagesArePrepared() throws IOException {
    Path model = folder.resolve("m.safetensors");
    CommandRun run = CommandRun.of("convert", TRAINING, "--side-file", SIDE_FILE, "-o", model);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.out()).containsExactly(model.toString());
    assertThat(run.err())
        .singleElement()
        .asString()
        .startsWith("own architecture: 1 channels, 3 classes, patch 16x32x32, ");
    try (ModelFile file = ModelFile.open(model)) {
      ModelDescription description = file.description();
      assertThat(description.preprocessing().targetSpacing())
          .isEqualTo(new Spacing(3.0, 0.7578, 0.7578));
      assertThat(description.preprocessing().transposeForward()).isEqualTo(AxisOrder.IDENTITY);
      assertThat(description.preprocessing().channels())
          .containsExactly(
              new ChannelPlan(
                  "CT",
                  NormalizationScheme.CT,
                  false,
                  new IntensityStatistics((float) 82.92, 136.97, -958, 360)));
      assertThat(description.labels())
          .extracting(LabelClass::name)
          .containsExactly("background", "label 1", "label 2");
      assertThat(description.provenance().note()).isEmpty();
      assertThat(description.provenance().sources())
          .extracting(Provenance.Source::name)
          .containsExactly("training.model", "training.model.pkl");
    }
  }

  @Test
  void withoutSideFileTheAssumptionIsToldAndKept() throws IOException {
    Path model = folder.resolve("m.safetensors");
    CommandRun run = CommandRun.of("convert", TRAINING, "-o", model);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.err()).hasSize(2);
    try (ModelFile file = ModelFile.open(model)) {
      String note = file.description().provenance().note();
      assertThat(note).startsWith("no side file: images keep their own spacing");
      assertThat(run.err().getLast()).isEqualTo("warning: " + note);
      assertThat(file.description().preprocessing().targetSpacing()).isNull();
    }
  }

  @Test
  void bfloat16HalvesTheFile() throws IOException {
    Path wide = folder.resolve("wide.safetensors");
    Path narrow = folder.resolve("narrow.safetensors");
    assertThat(CommandRun.of("convert", TRAINING, "-o", wide).exitCode()).isZero();
    assertThat(CommandRun.of("convert", TRAINING, "-o", narrow, "--type", "bfloat16").exitCode())
        .isZero();
    assertThat(Files.size(narrow)).isLessThan(Files.size(wide));
    try (ModelFile file = ModelFile.open(narrow)) {
      assertThat(file.tensors().values())
          .extracting(StoredTensor::type)
          .contains(StoredType.BFLOAT16)
          .doesNotContain(StoredType.FLOAT32);
    }
  }

  @Test
  void wayToPyTorchAndBackKeepsEveryBit() throws IOException {
    Path model = SmallModel.write(folder.resolve("small.safetensors"), 2);
    Path checkpoint = folder.resolve("small.pth");
    Path back = folder.resolve("back.safetensors");
    CommandRun there = CommandRun.of("convert", model, "--to-pytorch", "-o", checkpoint);
    assertThat(there.exitCode()).as(there.errorText()).isZero();
    assertThat(CommandRun.of("convert", checkpoint, "-o", back).exitCode()).isZero();
    try (ModelFile first = ModelFile.open(model);
        ModelFile second = ModelFile.open(back)) {
      for (StoredTensor tensor : first.tensors().values()) {
        assertThat(second.tensors().get(tensor.name()))
            .as(tensor.name())
            .isNotNull()
            .extracting(StoredTensor::sha256)
            .isEqualTo(tensor.sha256());
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "--variant, vnet, 'variant ''vnet'' is unknown, expected one of'",
    "--patch, 16x32, '--patch is ''16x32'', expected a form like 64x128x128'",
    "--type, int8, --type"
  })
  void wrongOptionsAreErrorsOfUsage(String option, String value, String problem) {
    CommandRun run = CommandRun.of("convert", TRAINING, "-o", folder.resolve("m"), option, value);
    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.err().getFirst()).startsWith("error: ").contains(problem);
    assertThat(folder.resolve("m")).doesNotExist();
  }

  @Test
  void optionsOfModelFilesDoNotGoWithTheWayBack() throws IOException {
    Path model = SmallModel.write(folder.resolve("small.safetensors"), 1);
    CommandRun run =
        CommandRun.of("convert", model, "--to-pytorch", "--type", "bfloat16", "-o", "x.pth");
    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.err().getFirst()).isEqualTo("error: --type has no meaning with --to-pytorch");
  }

  @Test
  void inputsAreNotReplaced() throws IOException {
    Path copy = Files.copy(TRAINING, folder.resolve("copy.model"));
    byte[] before = Files.readAllBytes(copy);
    CommandRun run = CommandRun.of("convert", copy, "-o", copy);
    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.err().getFirst())
        .isEqualTo("error: --output would replace " + copy + ", which is read");
    assertThat(copy).hasBinaryContent(before);
  }

  @Test
  void whatCannotBeConvertedIsNamed() throws IOException {
    Path output = folder.resolve("m");
    Path text = Files.writeString(folder.resolve("a.txt"), "hello");
    Path missing = folder.resolve("none");
    Path other = TestResources.path("made-checkpoints/views.pth");
    for (Path source : List.of(text, missing, folder, other)) {
      CommandRun run = CommandRun.of("convert", source, "-o", output);
      assertThat(run.exitCode()).as(run.errorText()).isEqualTo(3);
      assertThat(run.err()).singleElement().asString().startsWith("error: " + source + ": ");
    }
    CommandRun wrongSide = CommandRun.of("convert", TRAINING, "--side-file", text, "-o", output);
    assertThat(wrongSide.exitCode()).isEqualTo(3);
    assertThat(wrongSide.err()).singleElement().asString().startsWith("error: " + text + ": ");
    assertThat(output).doesNotExist();
  }

  @Test
  void bytesThatCannotBeWrittenAreNamed() {
    Path output = folder.resolve("none").resolve("m.safetensors");
    CommandRun run = CommandRun.of("convert", TRAINING, "-o", output);
    assertThat(run.exitCode()).isEqualTo(1);
    assertThat(run.err())
        .containsExactly("error: " + output + ": cannot be written: the folder does not exist");
  }
}
