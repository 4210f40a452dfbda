package org.unetrpp.inference;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Backend;
import org.unetrpp.engine.Device;
import org.unetrpp.engine.Engine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Volume;
import org.unetrpp.memory.DType;
import org.unetrpp.model.Architecture;
import org.unetrpp.nn.Parameters;
import org.unetrpp.pipeline.MultiChannelImage;
import org.unetrpp.pipeline.PipelineStage;
import org.unetrpp.pipeline.Progress;
import org.unetrpp.pipeline.StageClock;
import org.unetrpp.pipeline.StageListener;
import org.unetrpp.pipeline.StagedSegmentation;
import org.unetrpp.pipeline.VolumeSegmentation;
import org.unetrpp.pipeline.Workers;

/// Segments volumes with a model file.
///
/// ```java
/// try (Segmenter segmenter = Segmenter.open(Path.of("synapse.safetensors"))) {
///   NiftiFile ct = Nifti.open(Path.of("ct.nii.gz"));
///   LabelVolume labels = segmenter.segment(ct.volumes(), SegmentationOptions.PUBLISHED);
///   Nifti.writeLabels(Path.of("ct_seg.nii.gz"), labels, ct.header());
/// }
/// ```
///
/// Threads may share a segmenter: reading and resampling run side by side, patches take turns on
/// the device. The result is the same bytes for any number of threads. Nothing is printed and
/// nothing is downloaded.
public final class Segmenter implements AutoCloseable {
  private final ModelDescription description;
  private final Backend backend;
  private final NetworkPredictor predictor;
  private final int threads;
  private final ReentrantReadWriteLock lifetime = new ReentrantReadWriteLock();
  private final long residentWhenOpened;
  private final long bytesWhenOpened; // that the network took of the device's memory
  private boolean closed;

  private Segmenter(
      ModelDescription description,
      Backend backend,
      NetworkPredictor predictor,
      int threads,
      long residentWhenOpened) {
    this.residentWhenOpened = residentWhenOpened;
    this.bytesWhenOpened = backend.allocator().bytesInUse();
    this.description = description;
    this.backend = backend;
    this.threads = threads;
    this.predictor = predictor;
  }

  /**
   * Opens a model on the CPU, with all processors of this machine.
   *
   * @throws org.unetrpp.files.InvalidFileException if the file is no model file or is damaged
   */
  @MustBeClosed
  public static Segmenter open(Path model) throws IOException {
    return open(model, new Device.Cpu(), Engine.defaultThreads());
  }

  /**
   * Opens a model.
   *
   * @param threads of the CPU, for preprocessing too; at least 1
   * @throws org.unetrpp.files.InvalidFileException if the file is no model file or is damaged
   * @throws org.unetrpp.engine.DeviceUnavailableException if this machine does not have the device
   */
  @MustBeClosed
  public static Segmenter open(Path model, Device device, int threads) throws IOException {
    try (ModelFile file = ModelFile.open(model)) {
      return open(file, device, threads);
    }
  }

  /**
   * Opens a model that is in the jar, on the CPU, with all processors of this machine.
   *
   * @param name such as {@link EmbeddedModels#DEFAULT}
   * @throws IllegalArgumentException if this build contains no model of the name
   */
  @MustBeClosed
  public static Segmenter openEmbedded(String name) throws IOException {
    try (ModelFile file = EmbeddedModels.ofThisBuild().open(name)) {
      return open(file, new Device.Cpu(), Engine.defaultThreads());
    }
  }

  /**
   * Opens a model of a file that is open, and that may be closed afterwards; activations are
   * float32.
   *
   * @param threads of the CPU, for preprocessing too; at least 1
   * @throws org.unetrpp.engine.DeviceUnavailableException if this machine does not have the device
   */
  @MustBeClosed
  public static Segmenter open(ModelFile model, Device device, int threads) {
    return open(model, device, threads, DType.FLOAT32);
  }

  /**
   * Opens a model of a file that is open, and that may be closed afterwards.
   *
   * @param threads of the CPU, for preprocessing too; at least 1
   * @param computeType of activations: float32, or bfloat16 on a GPU
   * @throws org.unetrpp.engine.DeviceUnavailableException if this machine does not have the device,
   *     or it does not compute in that type
   */
  @MustBeClosed
  public static Segmenter open(ModelFile model, Device device, int threads, DType computeType) {
    return open(List.of(model), device, threads, computeType);
  }

  /**
   * Opens several models, such as those of all folds of a plan, whose probabilities are averaged
   * patch by patch. The files may be closed afterwards.
   *
   * @param models at least one, of the same network, labels and preprocessing
   * @param threads of the CPU, for preprocessing too; at least 1
   * @param computeType of activations: float32, or bfloat16 on a GPU
   * @throws IllegalArgumentException if there is no model, or one differs from the first in more
   *     than its weights
   * @throws org.unetrpp.engine.DeviceUnavailableException if this machine does not have the device,
   *     or it does not compute in that type
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the device lives as long as the segmenter
  public static Segmenter open(
      List<ModelFile> models, Device device, int threads, DType computeType) {
    requireAlike(models.stream().map(ModelFile::description).toList());
    long resident = ResidentMemory.bytes();
    return open(models, Engine.open(device, threads, computeType), threads, resident);
  }

  /**
   * Opens models on a device.
   *
   * @param backend is closed with the segmenter
   * @param resident bytes of memory that the process had before the device was opened
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the network lives as long as the segmenter
  static Segmenter open(List<ModelFile> models, Backend backend, int threads, long resident) {
    try {
      ModelDescription description = models.getFirst().description();
      List<Supplier<Parameters>> networks = new ArrayList<>();
      models.forEach(model -> networks.add(() -> model.load(backend)));
      NetworkPredictor predictor = new NetworkPredictor(description.architecture(), networks);
      return new Segmenter(description, backend, predictor, threads, resident);
    } catch (RuntimeException e) {
      backend.close();
      throw e;
    }
  }

  private static void requireAlike(List<ModelDescription> models) {
    if (models.isEmpty()) {
      throw new IllegalArgumentException("no model, expected at least one");
    }
    ModelDescription first = models.getFirst();
    for (int i = 1; i < models.size(); i++) {
      ModelDescription other = models.get(i);
      if (!other.labels().equals(first.labels())) {
        throw new IllegalArgumentException(
            "model %d has labels %s, expected those of the first: %s"
                .formatted(i + 1, names(other), names(first)));
      }
      if (!other.architecture().equals(first.architecture())
          || !other.preprocessing().equals(first.preprocessing())) {
        throw new IllegalArgumentException(
            ("model %d has another network or preprocessing than the first; save the probabilities "
                    + "of each model and average them with 'unetrpp ensemble'")
                .formatted(i + 1));
      }
    }
  }

  private static String names(ModelDescription model) {
    return model.labels().stream()
        .map(label -> label.value() + " " + label.name())
        .collect(Collectors.joining(", "));
  }

  /** What the model file says about itself. */
  public ModelDescription description() {
    return description;
  }

  /**
   * Segments one case.
   *
   * @param channels the channels of the case on one grid, in the model's order
   * @return labels on the grid of the channels
   * @throws IllegalArgumentException if the channels are not as many as the model's, lie on
   *     different grids, or hold a value that is not a finite number
   * @throws java.util.concurrent.CancellationException if the options or an interrupt said so
   * @throws IllegalStateException if the segmenter is closed
   */
  public LabelVolume segment(List<Volume> channels, SegmentationOptions options) {
    return report(channels, options).labels();
  }

  /** As {@link #segment}, and how long its stages took. */
  public SegmentationReport report(List<Volume> channels, SegmentationOptions options) {
    return whileOpen(() -> run(channels, options, null));
  }

  /**
   * As {@link #report(List, SegmentationOptions)}, and hands every stage to a listener, which takes
   * more memory than {@link #peakBytes} says: see {@link StagedSegmentation}.
   */
  public SegmentationReport report(
      List<Volume> channels, SegmentationOptions options, StageListener stages) {
    return whileOpen(() -> run(channels, options, stages));
  }

  private <T> T whileOpen(Supplier<T> work) {
    lifetime.readLock().lock();
    try {
      if (closed) {
        throw new IllegalStateException("the segmenter is closed");
      }
      return work.get();
    } finally {
      lifetime.readLock().unlock();
    }
  }

  private SegmentationReport run(
      List<Volume> channels, SegmentationOptions options, @Nullable StageListener stages) {
    MultiChannelImage image = image(channels);
    SegmentationOptions.ProbabilityListener listener = options.probabilities();
    StageClock clock = new StageClock();
    VolumeSegmentation.Result result;
    try (Workers workers = new Workers(threads, options.cancelled(), options.progress())) {
      result =
          stages == null
              ? VolumeSegmentation.run(
                  image,
                  description.preprocessing(),
                  predictor,
                  options.window(),
                  listener != null,
                  workers,
                  clock)
              : StagedSegmentation.run(
                  image,
                  description.preprocessing(),
                  predictor,
                  options.window(),
                  listener != null,
                  stages,
                  workers,
                  clock);
    }
    for (int label = 0; listener != null && label < result.probabilities().size(); label++) {
      listener.accept(description.labels().get(label), result.probabilities().get(label));
    }
    LabelClass.toValues(result.labels(), description.labels());
    LabelVolume labels = new LabelVolume(channels.getFirst().geometry(), result.labels());
    if (stages != null) {
      List<Integer> values = description.labels().stream().map(LabelClass::value).toList();
      stages.accept(PipelineStage.ofLabels(labels.labels(), image.extents(), values));
    }
    return new SegmentationReport(labels, StageTimes.of(clock));
  }

  /**
   * Returns if {@link #segment} would take these channels.
   *
   * @throws IllegalArgumentException as {@link #segment} says
   */
  public void requireUsable(List<Volume> channels) {
    image(channels);
  }

  private MultiChannelImage image(List<Volume> channels) {
    int expected = description.architecture().inputChannels();
    if (channels.size() != expected) {
      throw new IllegalArgumentException(
          "%d channels, but the model needs %d: %s"
              .formatted(channels.size(), expected, String.join(", ", channelNames())));
    }
    Geometry geometry = channels.getFirst().geometry();
    for (Volume channel : channels) {
      if (!channel.geometry().isCloseTo(geometry)) {
        throw new IllegalArgumentException(
            "the channels lie on different grids: %s and %s"
                .formatted(geometry, channel.geometry()));
      }
    }
    MultiChannelImage image =
        new MultiChannelImage(
            channels.stream().map(Volume::voxels).toList(), geometry.extents(), geometry.spacing());
    image.requireFinite();
    return image;
  }

  private List<String> channelNames() {
    return description.preprocessing().channels().stream().map(channel -> channel.name()).toList();
  }

  /**
   * What {@link #segment} will take of a case, found by doing a little of it: the image is cropped,
   * some slices are resampled, two dozen patches or, on a device that keeps the image, the windows
   * of its first slices go through the network. The compilers have more time in the case itself,
   * which takes somewhat less.
   *
   * @throws IllegalArgumentException as {@link #segment} says
   */
  public SegmentationEstimate estimate(List<Volume> channels, SegmentationOptions options) {
    return whileOpen(() -> {
      MultiChannelImage image = image(channels);
      try (Workers workers = new Workers(threads, options.cancelled(), Progress.NONE)) {
        StageClock clock =
            VolumeSegmentation.estimate(
                image, description.preprocessing(), predictor, options.window(), workers);
        long process = ResidentMemory.bytes() + ResidentMemory.untouchedEden();
        long needed = peakBytes(channels.getFirst().geometry(), options);
        return new SegmentationEstimate(StageTimes.of(clock), process + needed);
      }
    });
  }

  /**
   * About the most bytes that {@link #segment} holds beside the image's own voxels and the network,
   * if nothing of the image is cropped: see {@link VolumeSegmentation}. On a device that keeps the
   * image it is what is left for the host.
   *
   * @param options with the windows; whether there is a listener for probabilities counts
   */
  public long peakBytes(Geometry geometry, SegmentationOptions options) {
    return whileOpen(() ->
        VolumeSegmentation.peakBytes(
            geometry.extents(),
            geometry.spacing(),
            description.preprocessing(),
            predictor,
            options.window(),
            options.probabilities() != null,
            threads));
  }

  /**
   * About the bytes of host memory that the network and its device take, found by sending a patch
   * of zeros through it: what the process grew by since this segmenter was opened, or the
   * parameters if that is more.
   */
  public long networkBytes() {
    return whileOpen(() -> {
      Architecture architecture = description.architecture();
      long values = architecture.inputChannels() * architecture.patch().voxels();
      try (Arena arena = Arena.ofShared()) {
        predictor.predict(arena.allocate(values * Float.BYTES, Long.SIZE), _ -> {});
      }
      return Math.max(bytesWhenOpened, ResidentMemory.bytes() - residentWhenOpened);
    });
  }

  /**
   * Waits for running segmentations, then gives the device and its memory back.
   *
   * @throws IllegalStateException if a listener of a running segmentation calls it, which would
   *     wait for itself
   */
  @Override
  public void close() {
    if (lifetime.getReadHoldCount() > 0) {
      throw new IllegalStateException("close() within a segmentation, expected after it");
    }
    lifetime.writeLock().lock();
    try {
      if (!closed) {
        closed = true;
        predictor.close();
        backend.close();
      }
    } finally {
      lifetime.writeLock().unlock();
    }
  }
}
