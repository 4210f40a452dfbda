package org.unetrpp.bench.gpu;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.util.Arrays;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicReference;
import org.unetrpp.bench.VolumeSegmentation;
import org.unetrpp.engine.Device;
import org.unetrpp.engine.Engine;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.inference.SegmentationOptions;
import org.unetrpp.model.Architecture;
import org.unetrpp.pipeline.Mirroring;
import org.unetrpp.pipeline.SlidingWindow;

/** A volume of noise, at the model's own spacing, from the host's memory to its labels there. */
final class WholeVolume {
  private static final double STEP = 0.5;

  private WholeVolume() {}

  /**
   * Segments it, once to prepare what is kept, and again to time that; gives up after {@code
   * seconds} and then tells how far it came.
   */
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
    JsonObject result = new JsonObject();
    long opening = System.nanoTime();
    try (VolumeSegmentation volume =
        new VolumeSegmentation(
            architecture, extents, device, Engine.defaultThreads(), request.precision())) {
      result.addProperty("opening_seconds", (System.nanoTime() - opening) * 1e-9);
      LabelVolume first = timed(volume, options, "first_seconds", result);
      result.addProperty("labels_sha256", Digests.of(first.labels()));
      LabelVolume labels = timed(volume, options, "seconds", result);
      result.addProperty("same_bytes", Arrays.equals(first.labels(), labels.labels()));
    } catch (CancellationException e) {
      result.addProperty("cancelled", progress.get());
    }
    result.addProperty(
        "windows", SlidingWindow.windows(extents, architecture.patch(), STEP).size());
    result.addProperty("mirrored", mirroring.combinations().size());
    return result;
  }

  private static LabelVolume timed(
      VolumeSegmentation volume, SegmentationOptions options, String name, JsonObject result) {
    long start = System.nanoTime();
    LabelVolume labels = volume.run(options);
    result.addProperty(name, (System.nanoTime() - start) * 1e-9);
    return labels;
  }
}
