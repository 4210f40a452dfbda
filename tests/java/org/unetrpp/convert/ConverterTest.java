package org.unetrpp.convert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.grid.Extents;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.Fusion;
import org.unetrpp.model.StateEntry;
import org.unetrpp.model.StateLayout;
import org.unetrpp.model.TokenProjection;
import org.unetrpp.testing.TestResources;
import org.unetrpp.weights.SafeTensors;
import org.unetrpp.weights.StoredTensor;
import org.unetrpp.weights.StoredType;
import org.unetrpp.weights.TensorFile;
import org.unetrpp.weights.TensorFiles;

class ConverterTest {
  private static final Path TRAINING = TestResources.path("made-checkpoints/training.model");
  private static final List<Extents> HALVING =
      List.of(Extents.cube(2), Extents.cube(2), Extents.cube(2));
  private static final Architecture SHARED =
      new Architecture(
          1,
          3,
          new Extents(16, 32, 32),
          new Extents(2, 4, 4),
          HALVING,
          List.of(4, 4, 4, 8),
          List.of(1, 2, 1, 1),
          1,
          List.of(2, 2, 2, 1),
          2,
          2,
          2,
          TokenProjection.SHARED_LINEAR,
          Fusion.CONCATENATE,
          1,
          0.15,
          0.1);

  @TempDir Path folder;

  @Test
  void trainingCheckpointGivesItsNetworkAndPlan() throws IOException {
    Path sideFile = TestResources.path("made-checkpoints/training.model.pkl");
    try (ConvertedCheckpoint converted =
        Converter.convert(TRAINING, sideFile, Converter.Options.DEFAULT)) {
      assertThat(converted.architecture()).isEqualTo(SHARED);
      assertThat(converted.variant()).isEmpty();
      assertThat(converted.metadata()).containsEntry("epoch", "1000");
      assertThat(converted.sources().keySet())
          .containsExactly("training.model", "training.model.pkl");
      assertThat(converted.sources().values()).allMatch(digest -> digest.matches("[0-9a-f]{64}"));
      assertThat(converted.plan())
          .hasValueSatisfying(plan -> assertThat(plan.classes()).isEqualTo(3));
      assertThat(converted.tensors().keySet())
          .containsExactlyElementsOf(
              StateLayout.of(SHARED).stream()
                  .filter(entry -> entry.aliasOf() == null)
                  .map(StateEntry::name)
                  .toList());
    }
  }

  @Test
  void separateProjectionsNeedToBeToldThePatch() throws IOException {
    Path path = TestResources.path("made-checkpoints/separate-legacy.pth");
    assertRefused(path, Converter.Options.DEFAULT, "name it with --patch DxHxW");
    assertRefused(path, patch(new Extents(8, 64, 64)), "patch 8x64x64 does not give");

    Architecture found = architecture(path, patch(new Extents(8, 64, 32)));

    assertThat(found.patch()).isEqualTo(new Extents(8, 64, 32));
    assertThat(found.tokenProjection()).isEqualTo(TokenProjection.SEPARATE_LINEAR);
    assertThat(found.residualConvolutions()).isEqualTo(2);
    assertThat(found.attentionDropout()).isEqualTo(0.1);
  }

  @Test
  void bfloat16BehindModuleAndNestingIsConverted() throws IOException {
    Path path = TestResources.path("made-checkpoints/matrix-module-bfloat16.pth");
    try (ConvertedCheckpoint converted = Converter.convert(path, null, Converter.Options.DEFAULT)) {
      assertThat(converted.architecture().tokenProjection())
          .isEqualTo(TokenProjection.SHARED_MATRIX);
      assertThat(converted.architecture().fusion()).isEqualTo(Fusion.SUM);
      assertThat(converted.architecture().patch()).isEqualTo(Extents.cube(32));
      assertThat(converted.architecture().inputChannels()).isEqualTo(2);
      assertThat(converted.tensors().values())
          .filteredOn(tensor -> !tensor.name().endsWith("num_batches_tracked"))
          .allMatch(tensor -> tensor.type() == StoredType.FLOAT32);
    }
  }

  /** The same network at three precisions differs by no more than the rounding of each. */
  @Test
  void precisionsAgreeWithinTheirRounding() throws IOException {
    try (ConvertedCheckpoint exact =
            Converter.convert(
                TestResources.path("made-checkpoints/matrix-float64-heads-off-legacy.pth"),
                null,
                Converter.Options.DEFAULT);
        ConvertedCheckpoint half =
            Converter.convert(
                TestResources.path("made-checkpoints/matrix-float16.pth"),
                null,
                Converter.Options.DEFAULT);
        ConvertedCheckpoint brain =
            Converter.convert(
                TestResources.path("made-checkpoints/matrix-module-bfloat16.pth"),
                null,
                Converter.Options.DEFAULT)) {
      assertThat(exact.tensors()).doesNotContainKey("out2.conv.conv.weight").hasSize(176);
      for (StoredTensor tensor : exact.tensors().values()) {
        float[] values = tensor.toFloats();
        assertClose(values, floats(half, tensor.name()), 0x1p-11f);
        assertClose(values, floats(brain, tensor.name()), 0x1p-8f);
      }
    }
  }

  @Test
  void headsOfTrainingAreRequiredOnlyWhenAsked() {
    assertRefused(
        TestResources.path("made-checkpoints/matrix-float64-heads-off-legacy.pth"),
        new Converter.Options(null, null, true),
        "4 tensors missing: out2.conv.conv.weight (4, 4, 1, 1, 1), out2.conv.conv.bias (4)");
  }

  @Test
  void allThatIsWrongIsNamed() throws IOException {
    Path path =
        rewritten(tensor -> {
          String name = tensor.name();
          if (name.startsWith("decoder4")) {
            return null;
          }
          return name.equals("out1.conv.conv.bias")
              ? StoredTensor.ofFloats(name, List.of(2L), new float[2])
              : name.equals("encoder1.conv2.conv.weight") ? tensor.renamed("extra") : tensor;
        });
    assertThatThrownBy(() -> architecture(path, Converter.Options.DEFAULT))
        .isInstanceOf(InvalidFileException.class)
        .hasMessageContaining(
            "tensors missing: encoder1.conv2.conv.weight (2, 2, 3, 3, 3), decoder4")
        .hasMessageContaining(", ...")
        .hasMessageContaining("1 tensors unknown: extra")
        .hasMessageContaining(
            "1 tensors of another shape or type: out1.conv.conv.bias is float32(2), expected (3)");
  }

  @Test
  void laterNameOfSharedProjectionWins() throws IOException {
    String block = "unetr_pp_encoder.stages.0.0.epa_block.";
    float[] later = {5, 6};
    Path path =
        rewritten(tensor ->
            tensor.name().equals(block + "F.bias")
                ? StoredTensor.ofFloats(tensor.name(), tensor.shape(), later)
                : tensor);
    try (ConvertedCheckpoint converted = Converter.convert(path, null, Converter.Options.DEFAULT)) {
      assertThat(floats(converted, block + "E.bias")).containsExactly(later);
    }
  }

  @Test
  void missingCountersAndAliasesAreFilledIn() throws IOException {
    Path path =
        rewritten(
            tensor -> tensor.name().matches(".*(num_batches_tracked|\\.F\\..*)") ? null : tensor);
    try (ConvertedCheckpoint converted = Converter.convert(path, null, Converter.Options.DEFAULT)) {
      assertThat(floats(converted, "decoder3.decoder_block.0.0.conv51.norm1.num_batches_tracked"))
          .containsExactly(0);
    }
  }

  @Test
  void checkpointOfAnotherNetworkIsRefusedWithItsNames() {
    assertRefused(
        TestResources.path("checkpoints/burn/reader/state_dict.pt"),
        Converter.Options.DEFAULT,
        "no UNETR++ checkpoint: none of its 4 tensors is unetr_pp_encoder");
  }

  @Test
  void anotherVariantThanToldIsRefused() {
    assertRefused(TRAINING, new Converter.Options("acdc", null, false), "patch 16x160x160");
    assertThatThrownBy(() -> new Converter.Options("brats", null, false))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("[acdc, btcv, lung, synapse, tumor]");
  }

  @Test
  void publishedVariantsAreRecognizedByName() {
    for (String name : Architecture.publishedNames()) {
      Architecture other = Architecture.published(name).orElseThrow().withClasses(9);
      assertThat(ArchitectureRecognizer.variant(other)).hasValue(name);
    }
  }

  /** Shapes alone, over values that do not exist: all published networks are recognized. */
  @Test
  void publishedNetworksAreRecognizedFromShapes() throws IOException {
    for (String name : Architecture.publishedNames()) {
      Architecture published = Architecture.published(name).orElseThrow().withClasses(9);
      Map<String, StoredTensor> state = shapes(StateLayout.of(published));
      assertThat(ArchitectureRecognizer.recognize(Path.of("x"), state, null, null))
          .isEqualTo(published);
    }
  }

  /** Any one shape of a network changed gives another network or a reason, never a crash. */
  @Test
  void absurdShapesAreRefused() throws IOException {
    Map<String, StoredTensor> honest = shapes(StateLayout.of(SHARED));
    String telling =
        ".*(downsample_layers\\.\\d\\.0|0\\.pos_embed|E\\.weight|temperature"
            + "|(out1|encoder1).*conv).*";
    List<StateEntry> layout =
        StateLayout.of(SHARED).stream().filter(entry -> entry.name().matches(telling)).toList();
    long[] absurd = {0, 1, 3, 1L << 20, Integer.MAX_VALUE, 1L << 40};
    for (StateEntry entry : layout) {
      for (int axis = 0; axis < entry.shape().size(); axis++) {
        for (long extent : absurd) {
          Map<String, StoredTensor> state = new LinkedHashMap<>(honest);
          List<Long> shape = new ArrayList<>();
          entry.shape().forEach(each -> shape.add((long) each));
          shape.set(axis, extent);
          state.put(entry.name(), valueless(entry.name(), shape));
          assertThat(isRecognizedOrRefused(state)).isTrue();
        }
      }
    }
  }

  private static boolean isRecognizedOrRefused(Map<String, StoredTensor> state) {
    try {
      ArchitectureRecognizer.recognize(Path.of("x"), state, null, null);
      return true;
    } catch (InvalidFileException e) {
      return e.getMessage() != null && e.getMessage().startsWith("x: ");
    }
  }

  private static Map<String, StoredTensor> shapes(List<StateEntry> layout) {
    Map<String, StoredTensor> state = new LinkedHashMap<>();
    for (StateEntry entry : layout) {
      List<Long> shape = entry.shape().stream().map(Integer::longValue).toList();
      state.put(entry.name(), valueless(entry.name(), shape));
    }
    return state;
  }

  private static StoredTensor valueless(String name, List<Long> shape) {
    return StoredTensor.gathered(
        name,
        StoredType.FLOAT32,
        shape,
        () -> {
          throw new AssertionError("values were read");
        });
  }

  @Test
  void writtenCheckpointReadsAsTheSameState() throws IOException {
    for (PyTorchWriter.Form form : PyTorchWriter.Form.values()) {
      Path path = folder.resolve(form + ".pth");
      try (ConvertedCheckpoint first =
          Converter.convert(TRAINING, null, Converter.Options.DEFAULT)) {
        PyTorchWriter.write(path, first.architecture(), first.tensors(), form);
        try (ConvertedCheckpoint second = Converter.convert(path, null, Converter.Options.DEFAULT);
            TensorFile file = TensorFiles.open(path)) {
          assertThat(second.architecture()).isEqualTo(first.architecture());
          assertThat(digests(second)).isEqualTo(digests(first));
          String folderName = form == PyTorchWriter.Form.BARE ? "" : "state_dict/";
          assertThat(file.tensors().keySet())
              .containsExactlyElementsOf(
                  StateLayout.of(SHARED).stream().map(entry -> folderName + entry.name()).toList());
        }
      }
    }
  }

  @Test
  void incompleteStateIsNotWritten() {
    assertThatThrownBy(() ->
            PyTorchWriter.write(folder.resolve("x"), SHARED, Map.of(), PyTorchWriter.Form.BARE))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("has no tensor " + StateDictionary.STEM);
    assertThat(folder.resolve("x")).doesNotExist();
  }

  private static Map<String, String> digests(ConvertedCheckpoint checkpoint) {
    Map<String, String> digests = new LinkedHashMap<>();
    checkpoint.tensors().forEach((name, tensor) -> digests.put(name, tensor.sha256()));
    return digests;
  }

  private static float[] floats(ConvertedCheckpoint checkpoint, String name) {
    StoredTensor tensor = checkpoint.tensors().get(name);
    assertThat(tensor).as(name).isNotNull();
    return tensor == null ? new float[0] : tensor.toFloats();
  }

  private static void assertClose(float[] exact, float[] rounded, float unit) {
    assertThat(rounded).hasSameSizeAs(exact);
    for (int i = 0; i < exact.length; i++) {
      // Half a unit in the last place, and below the smallest normal float16 its spacing.
      assertThat(Math.abs(rounded[i] - exact[i]))
          .isLessThanOrEqualTo(Math.max(unit * Math.abs(exact[i]), 0x1p-25f));
    }
  }

  /** The state of the training checkpoint as safetensors, each tensor changed or left out. */
  private Path rewritten(Change change) throws IOException {
    Path path = folder.resolve("rewritten.safetensors");
    try (TensorFile file = TensorFiles.open(TRAINING)) {
      List<StoredTensor> tensors = new ArrayList<>();
      for (StoredTensor tensor : file.tensors().values()) {
        if (tensor.name().startsWith("state_dict/")) {
          String name = tensor.name().substring("state_dict/".length());
          StoredTensor changed = change.of(tensor.renamed(name));
          if (changed != null) {
            tensors.add(changed);
          }
        }
      }
      SafeTensors.write(path, tensors, Map.of(), StoredType.FLOAT32);
    }
    return path;
  }

  private interface Change {
    @Nullable StoredTensor of(StoredTensor tensor);
  }

  private static Converter.Options patch(Extents patch) {
    return new Converter.Options(null, patch, false);
  }

  private static Architecture architecture(Path path, Converter.Options options)
      throws IOException {
    try (ConvertedCheckpoint converted = Converter.convert(path, null, options)) {
      return converted.architecture();
    }
  }

  private static void assertRefused(Path path, Converter.Options options, String problem) {
    assertThatThrownBy(() -> architecture(path, options))
        .isInstanceOf(InvalidFileException.class)
        .hasMessageContaining(path.toString())
        .hasMessageContaining(problem);
  }
}
