package org.unetrpp.inference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.testing.SmallModel;
import org.unetrpp.weights.SafeTensors;
import org.unetrpp.weights.StoredTensor;
import org.unetrpp.weights.StoredType;
import org.unetrpp.weights.TensorFile;
import org.unetrpp.weights.TensorFiles;

class ModelFileTest {
  private static final String GAMMA = "unetr_pp_encoder.stages.0.0.gamma";

  @TempDir Path folder;
  private Path model;

  @BeforeEach
  void writeModel() throws IOException {
    model = SmallModel.write(folder.resolve("small.safetensors"), 2);
  }

  @Test
  void float32KeepsDescriptionAndEveryBit() throws IOException {
    try (ModelFile file = ModelFile.open(model)) {
      assertThat(file.description()).isEqualTo(SmallModel.description(2));
      for (StoredTensor expected : SmallModel.tensors(SmallModel.architecture(2))) {
        StoredTensor actual = tensor(file, expected.name());
        assertThat(actual.type()).isEqualTo(StoredType.FLOAT32);
        assertThat(actual.toFloats()).containsExactly(expected.toFloats());
      }
    }
  }

  @Test
  void bfloat16RoundsWithinHalfAStep() throws IOException {
    Path target = folder.resolve("bf16.safetensors");
    List<StoredTensor> tensors = SmallModel.tensors(SmallModel.architecture(2));
    ModelFile.write(target, SmallModel.description(2), tensors, StoredType.BFLOAT16);
    assertThat(Files.size(target)).isLessThan(Files.size(model) * 6 / 10);
    try (ModelFile file = ModelFile.open(target)) {
      assertThat(file.description()).isEqualTo(SmallModel.description(2));
      for (StoredTensor tensor : tensors) {
        float[] rounded = tensor(file, tensor.name()).toFloats();
        float[] exact = tensor.toFloats();
        for (int i = 0; i < exact.length; i++) { // 8 bits of mantissa
          assertThat(Math.abs(rounded[i] - exact[i]))
              .isLessThanOrEqualTo(Math.abs(exact[i]) * 0x1p-8f);
        }
      }
    }
  }

  @Test
  void bfloat16IsRoundedOnce() throws IOException {
    Path first = folder.resolve("first.safetensors");
    List<StoredTensor> tensors = SmallModel.tensors(SmallModel.architecture(2));
    ModelFile.write(first, SmallModel.description(2), tensors, StoredType.BFLOAT16);
    Path second = folder.resolve("second.safetensors");
    try (ModelFile file = ModelFile.open(first)) {
      ModelFile.write(second, file.description(), file.tensors().values(), StoredType.BFLOAT16);
    }
    assertThat(second).hasSameBinaryContentAs(first);
    Path widened = folder.resolve("widened.safetensors");
    try (ModelFile file = ModelFile.open(first)) {
      ModelFile.write(widened, file.description(), file.tensors().values(), StoredType.FLOAT32);
      try (ModelFile wide = ModelFile.open(widened)) {
        for (StoredTensor tensor : file.tensors().values()) {
          assertThat(tensor(wide, tensor.name()).toFloats()).isEqualTo(tensor.toFloats());
        }
      }
    }
  }

  @Test
  void attributionIsKeptAndMayBeMissing() throws IOException {
    assertThat(metadata().get("provenance")).doesNotContain("attribution");
    Path target = SmallModel.writeWithAttribution(folder.resolve("owed.safetensors"));
    try (ModelFile file = ModelFile.open(target)) {
      assertThat(file.description().provenance().attribution()).isEqualTo(SmallModel.ATTRIBUTION);
    }
    Path without =
        withMetadata(
            "provenance",
            json -> json.substring(0, json.length() - 1) + ",\"attribution\":{\"license\":\"x\"}}");
    assertRefused(
        without, "metadata 'provenance' is not valid: attribution: it has no 'trainingData'");
  }

  @Test
  void contentInMemoryIsTheSameModel() throws IOException {
    Path name = Path.of("nowhere.safetensors");
    byte[] content = Files.readAllBytes(model);
    try (ModelFile file = ModelFile.open(name, content)) {
      assertThat(file.description()).isEqualTo(SmallModel.description(2));
      for (StoredTensor expected : SmallModel.tensors(SmallModel.architecture(2))) {
        assertThat(tensor(file, expected.name()).sha256()).isEqualTo(expected.sha256());
      }
    }
    for (int length : new int[] {0, 1, 8, 9, 1000, content.length / 2, content.length - 1}) {
      assertThatThrownBy(() -> ModelFile.open(name, Arrays.copyOf(content, length)).close())
          .isInstanceOf(InvalidFileException.class)
          .hasMessageStartingWith(name + ": ");
    }
  }

  @Test
  void planWithoutSpacingAndStatisticsIsKept() throws IOException {
    Path target = SmallModel.writeAtOwnSpacing(folder.resolve("own.safetensors"));
    try (ModelFile file = ModelFile.open(target)) {
      assertThat(file.description()).isEqualTo(SmallModel.descriptionAtOwnSpacing());
    }
  }

  @Test
  void supervisionHeadsMayBeMissing() throws IOException {
    Path target =
        rewritten(
            tensor -> tensor.name().matches("out[23].*") ? List.of() : List.of(tensor), metadata());
    try (ModelFile file = ModelFile.open(target)) {
      assertThat(file.tensors()).doesNotContainKey("out2.conv.conv.weight");
    }
  }

  @Test
  void missingTensorIsNamed() throws IOException {
    Path target =
        rewritten(tensor -> tensor.name().equals(GAMMA) ? List.of() : List.of(tensor), metadata());
    assertRefused(target, "tensor " + GAMMA + " is missing");
  }

  @Test
  void misshapedTensorIsNamedWithBothShapes() throws IOException {
    Path target =
        rewritten(
            tensor ->
                List.of(
                    tensor.name().equals(GAMMA)
                        ? StoredTensor.ofFloats(GAMMA, List.of(9L), new float[9])
                        : tensor),
            metadata());
    assertRefused(target, "tensor " + GAMMA + " has shape (9), expected (8)");
  }

  @Test
  void integerWeightsAreRefused() throws IOException {
    Path target =
        rewritten(
            tensor ->
                List.of(
                    tensor.name().equals(GAMMA)
                        ? StoredTensor.of(
                            GAMMA,
                            StoredType.INT64,
                            List.of(8L),
                            MemorySegment.ofArray(new byte[64]))
                        : tensor),
            metadata());
    assertRefused(target, "tensor " + GAMMA + " is of int64, expected floating-point numbers");
  }

  @Test
  void manyProblemsAreShortened() throws IOException {
    Path target = rewritten(tensor -> List.of(), metadata());
    assertThatThrownBy(() -> ModelFile.open(target).close())
        .hasMessageContaining("is missing; ")
        .hasMessageMatching(".*; and \\d+ more");
  }

  @Test
  void otherFormatVersionIsRefused() throws IOException {
    Path target = withMetadata("unetrpp_format_version", _ -> "2");
    assertRefused(target, "model format version 2, expected 1");
  }

  @ParameterizedTest
  @ValueSource(strings = {"architecture", "labels", "preprocessing", "provenance"})
  void everyKeyIsNeededAndMustBeJson(String key) throws IOException {
    Map<String, String> without = metadata();
    without.remove(key);
    assertRefused(rewritten(List::of, without), "metadata has no '" + key + "'");
    for (String damaged : List.of("{", "7", "\"text\"", "[[]]")) {
      assertRefused(withMetadata(key, _ -> damaged), "metadata '" + key + "'");
    }
    assertRefused(withMetadata(key, _ -> ""), "metadata '" + key + "' is empty");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "architecture  | \"SHARED_LINEAR\" | \"LINEAR\"     | 'tokenProjection' is \"LINEAR\", expected one of",
        "architecture  | \"classes\":3     | \"classes\":1  | classes is 1, expected 2 or more",
        "architecture  | \"classes\":3     | \"x\":1        | it has no 'classes'",
        "architecture  | \"fusion\"        | \"x\"          | it has no 'fusion'",
        "architecture  | \"patch\"         | \"x\"          | it has no 'patch'",
        "architecture  | \"depth\":16      | \"depth\":15   | not a positive multiple",
        "labels        | \"value\":2       | \"value\":7    | two labels have one value",
        "labels        | \"value\":0       | \"value\":1    | expected background with value 0",
        "labels        | \"value\":2       | \"value\":256  | label 256, expected 0 to 255",
        "labels        | \"color\"         | \"x\"          | it has no 'color'",
        "preprocessing | \"first\":0       | \"first\":1    | expected a permutation",
        "preprocessing | \"useMask\"       | \"x\"          | it has no 'useMask'",
        "preprocessing | \"CT\",\"useMask\"| \"XT\",\"useMask\" | 'scheme' is \"XT\"",
        "preprocessing | \"statistics\"    | \"x\"          | without statistics",
        "preprocessing | \"channels\"      | \"x\"          | it has no 'channels'",
        "provenance    | \"sources\"       | \"x\"          | it has no 'sources'"
      })
  void whatJsonLacksOrCannotBeIsNamed(String key, String from, String to, String problem)
      throws IOException {
    Path target =
        withMetadata(
            key,
            json -> {
              assertThat(json).contains(from);
              return json.replace(from, to);
            });
    assertRefused(target, problem);
  }

  @Test
  void tensorsAloneAreNoModel() throws IOException {
    Path target = rewritten(List::of, Map.of("format", "pt"));
    assertRefused(
        target, "a file of tensors (safetensors), not a model file; 'unetrpp convert' makes one");
  }

  @Test
  void otherFilesAreNoModel() throws IOException {
    Path text = Files.writeString(folder.resolve("a.txt"), "hello");
    assertRefused(text, "not a model file or checkpoint: first bytes 68 65 6c 6c 6f");
    assertRefused(Files.createFile(folder.resolve("empty")), "the file is empty");
    assertRefused(folder, "a folder, expected a file");
  }

  @Test
  void fileCutOffAnywhereIsRefused() throws IOException {
    byte[] bytes = Files.readAllBytes(model);
    for (int length : new int[] {1, 8, 9, 1000, bytes.length / 2, bytes.length - 1}) {
      Path cut = Files.write(folder.resolve("cut"), Arrays.copyOf(bytes, length));
      assertThatThrownBy(() -> ModelFile.open(cut).close())
          .isInstanceOf(InvalidFileException.class)
          .hasMessageStartingWith(cut + ": ");
    }
  }

  @Test
  void writingNeedsEveryTensor() {
    List<StoredTensor> tensors = new ArrayList<>(SmallModel.tensors(SmallModel.architecture(1)));
    tensors.removeIf(tensor -> tensor.name().equals(GAMMA));
    Path target = folder.resolve("never.safetensors");
    assertThatThrownBy(
            () -> ModelFile.write(target, SmallModel.description(1), tensors, StoredType.FLOAT32))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("tensor " + GAMMA + " is missing");
    assertThat(target).doesNotExist();
  }

  private static StoredTensor tensor(ModelFile file, String name) {
    return Objects.requireNonNull(file.tensors().get(name), name);
  }

  private Map<String, String> metadata() throws IOException {
    try (TensorFile file = TensorFiles.open(model)) {
      return new HashMap<>(file.metadata());
    }
  }

  private Path withMetadata(String key, UnaryOperator<String> change) throws IOException {
    Map<String, String> metadata = metadata();
    metadata.computeIfPresent(key, (_, value) -> change.apply(value));
    return rewritten(List::of, metadata);
  }

  private Path rewritten(
      Function<StoredTensor, List<StoredTensor>> change, Map<String, String> metadata)
      throws IOException {
    Path target = folder.resolve("changed.safetensors");
    try (TensorFile file = TensorFiles.open(model)) {
      List<StoredTensor> tensors =
          file.tensors().values().stream()
              .flatMap(tensor -> change.apply(tensor).stream())
              .toList();
      SafeTensors.write(target, tensors, metadata, StoredType.FLOAT32);
    }
    return target;
  }

  private static void assertRefused(Path path, String problem) {
    assertThatThrownBy(() -> ModelFile.open(path).close())
        .isInstanceOf(InvalidFileException.class)
        .hasMessageStartingWith(path + ": ")
        .hasMessageContaining(problem);
  }
}
