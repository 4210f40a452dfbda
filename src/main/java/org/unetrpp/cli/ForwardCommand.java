package org.unetrpp.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.Probe;
import org.unetrpp.engine.Engine;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.grid.Extents;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.UnetrPlusPlus;
import org.unetrpp.nn.Parameters;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;
import org.unetrpp.weights.NumpyFile;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Runs the bare network on one patch. */
@Command(
    name = "forward",
    description = "Runs the bare network on one patch, for checking parity with other programs.",
    mixinStandardHelpOptions = true)
final class ForwardCommand extends Subcommand {
  @Mixin private DeviceOptions device = new DeviceOptions();

  @CommandLine.Parameters(paramLabel = "MODEL", description = "A model file.")
  private Path model = Path.of("");

  @Option(
      names = "--input",
      required = true,
      paramLabel = "X.npy",
      description = "The patch: float32 (B, C, D, H, W), preprocessed as the network expects.")
  private Path input = Path.of("");

  @Option(
      names = {"-o", "--output"},
      required = true,
      paramLabel = "Y.npy",
      description = "Where the logits go: float32 (B, K, D, H, W).")
  private Path output = Path.of("");

  @Option(
      names = "--dump",
      paramLabel = "DIR",
      description = "Also write every box's output, channels last, as DIR/NAME.npy.")
  private @Nullable Path dump;

  @Override
  public Integer call() throws IOException {
    try (ModelFile file = ModelFile.open(model);
        Backend backend =
            Engine.open(device.device(console()), device.threads(), device.computeType());
        var _ = backend.scopes().open();
        Parameters parameters = file.load(backend)) {
      Architecture architecture = file.description().architecture();
      NumpyFile.Array image = read(architecture);
      if (dump != null) {
        Files.createDirectories(dump);
        backend.observe(dumpingTo(dump, backend));
      }
      Shape shape = new Shape(image.shape());
      Tensor patch = Tensor.of(backend, shape, image.values());
      Tensor logits = new UnetrPlusPlus(architecture, parameters).forward(patch, HeadOutput.LOGITS);
      NumpyFile.write(output, new NumpyFile.Array(logits.shape().extents(), logits.toArray()));
    }
    return ExitCode.OK;
  }

  private NumpyFile.Array read(Architecture architecture) throws IOException {
    NumpyFile.Array image = NumpyFile.read(input);
    Extents patch = architecture.patch();
    List<Integer> expected =
        List.of(architecture.inputChannels(), patch.depth(), patch.height(), patch.width());
    List<Integer> shape = image.shape();
    if (shape.size() != 5 || shape.getFirst() < 1 || !shape.subList(1, 5).equals(expected)) {
      throw new InvalidFileException(
          input,
          "shape %s, expected (B, %d, %d, %d, %d)"
              .formatted(
                  shape,
                  architecture.inputChannels(),
                  patch.depth(),
                  patch.height(),
                  patch.width()));
    }
    return image;
  }

  private static Probe dumpingTo(Path folder, Backend backend) {
    return (name, values, rows, columns) -> {
      NumpyFile.Array array =
          new NumpyFile.Array(List.of(Math.toIntExact(rows), columns), backend.download(values));
      try {
        NumpyFile.write(folder.resolve(name + ".npy"), array);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    };
  }
}
