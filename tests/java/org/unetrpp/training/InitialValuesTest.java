package org.unetrpp.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unetrpp.grid.Extents;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.Initialization;
import org.unetrpp.model.StateEntry;
import org.unetrpp.model.StateLayout;
import org.unetrpp.testing.SmallModel;

class InitialValuesTest {
  private static final long SEED = 7;

  @TempDir Path folder;
  private Path file;

  @BeforeEach
  void writeModel() throws IOException {
    file = SmallModel.write(folder.resolve("model.safetensors"), 1);
  }

  @Test
  void modelOfTheSameNetworkGivesEveryTensor() throws IOException {
    Architecture same = SmallModel.architecture(1);
    try (ModelFile model = ModelFile.open(file)) {
      InitialValues values = InitialValues.of(model, same, SEED);
      assertThat(values.drawn()).isEmpty();
      assertThat(values.takenCount()).isEqualTo(model.tensors().size());
      for (StateEntry entry : trained(same)) {
        assertThat(values.apply(entry))
            .isEqualTo(Objects.requireNonNull(model.tensors().get(entry.name())).toFloats());
      }
    }
  }

  @Test
  void headsOfOtherClassesStartFresh() throws IOException {
    Architecture fewer = SmallModel.architecture(1).withClasses(2);
    try (ModelFile model = ModelFile.open(file)) {
      InitialValues values = InitialValues.of(model, fewer, SEED);
      assertThat(values.drawn())
          .hasSize(6)
          .allMatch(reason -> reason.matches("out[123]\\.conv\\.conv\\.(weight|bias): .*"))
          .contains("out1.conv.conv.bias: (3) in the model, (2) here");
      for (StateEntry entry : trained(fewer)) {
        float[] expected =
            entry.name().startsWith("out")
                ? Initialization.values(fewer, entry.name(), SEED)
                : Objects.requireNonNull(model.tensors().get(entry.name())).toFloats();
        assertThat(values.apply(entry)).as(entry.name()).isEqualTo(expected);
      }
    }
  }

  @Test
  void stemOfOtherChannelsStartsFresh() throws IOException {
    try (ModelFile model = ModelFile.open(file)) {
      InitialValues values = InitialValues.of(model, SmallModel.architecture(2), SEED);
      assertThat(values.drawn())
          .isNotEmpty()
          .allMatch(reason ->
              reason.startsWith("encoder1.")
                  || reason.startsWith("unetr_pp_encoder.downsample_layers.0."));
    }
  }

  @Test
  void positionsOfAnotherPatchStartFresh() throws IOException {
    Architecture larger = SmallModel.architecture(1).withPatch(new Extents(32, 32, 32));
    try (ModelFile model = ModelFile.open(file)) {
      InitialValues values = InitialValues.of(model, larger, SEED);
      assertThat(values.drawn())
          .anyMatch(reason -> reason.contains(".pos_embed: "))
          .allMatch(reason -> reason.matches(".*\\.(pos_embed|E\\.weight): .*"));
    }
  }

  @Test
  void drawnValuesAreThoseOfTheSeed() {
    Architecture architecture = SmallModel.architecture(1);
    InitialValues values = InitialValues.drawn(architecture, SEED);
    StateEntry entry = trained(architecture).getFirst();
    assertThat(values.apply(entry))
        .isEqualTo(Initialization.values(architecture, entry.name(), SEED));
  }

  @Test
  void modelWithNothingInCommonIsRefused() throws IOException {
    Architecture small = SmallModel.architecture(1);
    Architecture other =
        new Architecture(
            1,
            5,
            new Extents(32, 64, 64),
            new Extents(4, 4, 4),
            small.downsampling(),
            List.of(16, 32, 64, 128),
            small.encoderDepths(),
            1,
            List.of(8, 4, 2, 2),
            8,
            6,
            8,
            small.tokenProjection(),
            small.fusion(),
            1,
            0,
            0);
    try (ModelFile model = ModelFile.open(file)) {
      assertThatThrownBy(() -> InitialValues.of(model, other, SEED))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("no tensor of the model fits the network of the plan");
    }
  }

  private static List<StateEntry> trained(Architecture architecture) {
    return StateLayout.of(architecture).stream()
        .filter(entry -> entry.aliasOf() == null && entry.role() != StateEntry.Role.COUNTER)
        .toList();
  }
}
