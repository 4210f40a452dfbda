package org.unetrpp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.cpu.CpuBackend;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.model.UnetrPlusPlus;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.nn.Parameters;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;
import org.unetrpp.testing.CommandRun;
import org.unetrpp.testing.SmallModel;
import org.unetrpp.weights.NumpyFile;

class ForwardCommandTest {
  private static final List<Integer> SHAPE = List.of(2, 1, 16, 32, 32);

  @TempDir Path folder;
  private Path model;
  private Path output;

  @BeforeEach
  void writeModel() throws IOException {
    model = SmallModel.write(folder.resolve("small.safetensors"), 1);
    output = folder.resolve("y.npy");
  }

  @Test
  void outputIsThatOfTheNetwork() throws IOException {
    CommandRun run = forward(patch(SHAPE), "--threads", 2);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    NumpyFile.Array logits = NumpyFile.read(output);
    assertThat(logits.shape()).containsExactly(2, 3, 16, 32, 32);
    assertThat(logits.values()).containsExactly(expected());
  }

  @Test
  void everyBoxIsDumpedOnRequest() throws IOException {
    Path dump = folder.resolve("new").resolve("boxes");
    CommandRun run = forward(patch(SHAPE), "--dump", dump);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    try (Stream<Path> files = Files.list(dump)) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .contains("encoder1.npy", "decoder2.npy", "decoder5.npy", "out1.conv.conv.npy");
    }
    NumpyFile.Array box = NumpyFile.read(dump.resolve("encoder1.npy"));
    assertThat(box.shape()).containsExactly(2 * 16 * 32 * 32, 4); // channels last
  }

  @Test
  void patchOfAnotherShapeIsRefused() throws IOException {
    for (List<Integer> shape :
        List.of(
            List.of(1, 2, 16, 32, 32),
            List.of(1, 1, 32, 16, 32),
            List.of(1, 16, 32, 32),
            List.of(0, 1, 16, 32, 32))) {
      CommandRun run = forward(patch(shape));
      assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
      assertThat(run.err())
          .singleElement()
          .asString()
          .endsWith("x.npy: shape " + shape + ", expected (B, 1, 16, 32, 32)");
      assertThat(output).doesNotExist();
    }
  }

  @Test
  void whatCannotBeReadOrWrittenIsNamed() throws IOException {
    Path missing = folder.resolve("none.npy");
    CommandRun noInput = forward(missing);
    assertThat(noInput.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(noInput.err()).containsExactly("error: " + missing + ": no such file");
    assertThat(forward(model).exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    CommandRun noFolder = forward(folder);
    assertThat(noFolder.err()).containsExactly("error: " + folder + ": a folder, expected a file");
    Path file = Files.writeString(folder.resolve("file"), "text");
    CommandRun noDump = forward(patch(SHAPE), "--dump", file);
    assertThat(noDump.exitCode()).isEqualTo(ExitCode.FAILED);
    assertThat(noDump.err()).containsExactly("error: " + file + ": exists and is no folder");
    output = folder.resolve("none").resolve("y.npy");
    CommandRun noOutput = forward(patch(SHAPE));
    assertThat(noOutput.exitCode()).isEqualTo(ExitCode.FAILED);
    assertThat(noOutput.err())
        .containsExactly("error: " + output + ": cannot be written: the folder does not exist");
  }

  private float[] expected() throws IOException {
    try (ModelFile file = ModelFile.open(model);
        Backend backend = new CpuBackend(2);
        var _ = backend.scopes().open();
        Parameters parameters = file.load(backend)) {
      Tensor patch = Tensor.of(backend, new Shape(SHAPE), values(SHAPE));
      return new UnetrPlusPlus(SmallModel.architecture(1), parameters)
          .forward(patch, HeadOutput.LOGITS)
          .toArray();
    }
  }

  private static float[] values(List<Integer> shape) {
    return DeterministicTensor.input("patch", shape.stream().reduce(1, (x, y) -> x * y));
  }

  private Path patch(List<Integer> shape) throws IOException {
    Path input = folder.resolve("x.npy");
    NumpyFile.write(input, new NumpyFile.Array(shape, values(shape)));
    return input;
  }

  private CommandRun forward(Path input, Object... more) {
    return CommandRun.of(
        Stream.concat(
                Stream.of("forward", model, "--input", input, "--output", output), Stream.of(more))
            .toArray());
  }
}
