package org.unetrpp.bench.gpu;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.unetrpp.engine.Device;
import org.unetrpp.engine.Engine;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Spacing;
import org.unetrpp.image.Volume;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.inference.ModelDescription;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.inference.Provenance;
import org.unetrpp.inference.SegmentationOptions;
import org.unetrpp.inference.Segmenter;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.StateEntry;
import org.unetrpp.model.StateLayout;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.pipeline.AxisOrder;
import org.unetrpp.pipeline.ChannelPlan;
import org.unetrpp.pipeline.Mirroring;
import org.unetrpp.pipeline.NormalizationScheme;
import org.unetrpp.pipeline.PreprocessingPlan;
import org.unetrpp.pipeline.SlidingWindow;
import org.unetrpp.pipeline.SplineRule;
import org.unetrpp.weights.StoredTensor;
import org.unetrpp.weights.StoredType;

/** A volume of noise, at the model's own spacing, from the host's memory to its labels there. */
final class WholeVolume {
  private static final double STEP = 0.5;

  private WholeVolume() {}

  /** Segments it; gives up after {@code seconds} and then tells how far it came. */
  static JsonObject segment(Request request, Device device) throws IOException {
    Architecture architecture = request.architecture();
    Extents extents = request.extents("extents");
    Mirroring mirroring = request.flag("mirroring") ? Mirroring.ALL : Mirroring.NONE;
    long limit = System.nanoTime() + (long) (request.real("seconds", 60) * 1e9);
    AtomicReference<String> progress = new AtomicReference<>("");
    SegmentationOptions options =
        SegmentationOptions.PUBLISHED
            .withWindow(new SlidingWindow.Settings(STEP, mirroring))
            .withProgress((stage, done, total) -> progress.set(stage + " " + done + " of " + total))
            .cancelledWhen(() -> System.nanoTime() > limit);
    float[] noise = DeterministicTensor.input("volume", Math.toIntExact(extents.voxels()));
    Geometry geometry = new Geometry(extents, Affine.ofSpacing(new Spacing(1, 1, 1)));
    List<Volume> channels =
        IntStream.range(0, architecture.inputChannels())
            .mapToObj(_ -> new Volume(geometry, noise))
            .toList();
    Path model = Files.createTempFile("unetrpp", ".safetensors");
    JsonObject result = new JsonObject();
    try {
      write(model, architecture);
      long opening = System.nanoTime();
      try (ModelFile file = ModelFile.open(model);
          Segmenter segmenter =
              Segmenter.open(file, device, Engine.defaultThreads(), request.precision())) {
        result.addProperty("opening_seconds", (System.nanoTime() - opening) * 1e-9);
        long start = System.nanoTime();
        LabelVolume labels = segmenter.segment(channels, options);
        result.addProperty("seconds", (System.nanoTime() - start) * 1e-9);
        result.addProperty("labels_sha256", Digests.of(labels.labels()));
      } catch (CancellationException e) {
        result.addProperty("cancelled", progress.get());
      }
    } finally {
      Files.deleteIfExists(model);
    }
    result.addProperty(
        "windows", SlidingWindow.windows(extents, architecture.patch(), STEP).size());
    result.addProperty("mirrored", mirroring.combinations().size());
    return result;
  }

  private static void write(Path target, Architecture architecture) throws IOException {
    List<ChannelPlan> channels =
        IntStream.range(0, architecture.inputChannels())
            .mapToObj(i -> new ChannelPlan("MRI " + i, NormalizationScheme.NON_CT, false, null))
            .toList();
    ModelDescription description =
        new ModelDescription(
            architecture,
            LabelClass.of(
                IntStream.range(1, architecture.classes()).mapToObj(i -> "class " + i).toList()),
            new PreprocessingPlan(channels, null, AxisOrder.IDENTITY, SplineRule.PINNED),
            new Provenance("benchmark", List.of(), "deterministic weights"));
    List<StoredTensor> tensors =
        StateLayout.of(architecture).stream()
            .filter(entry -> entry.aliasOf() == null && entry.role() != StateEntry.Role.COUNTER)
            .map(WholeVolume::tensor)
            .toList();
    ModelFile.write(target, description, tensors, StoredType.FLOAT32);
  }

  private static StoredTensor tensor(StateEntry entry) {
    return StoredTensor.ofFloats(
        entry.name(),
        entry.shape().stream().map(Integer::longValue).toList(),
        DeterministicTensor.ofState(entry.name(), entry.shape()));
  }
}
