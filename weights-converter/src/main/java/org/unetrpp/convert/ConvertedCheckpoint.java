package org.unetrpp.convert;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;
import org.unetrpp.model.Architecture;
import org.unetrpp.weights.StoredTensor;
import org.unetrpp.weights.TensorFile;

/**
 * A published checkpoint as this project sees it. Values stay in the checkpoint's file, so the
 * tensors are usable until this is closed.
 */
public final class ConvertedCheckpoint implements AutoCloseable {
  private final TensorFile source;
  private final Architecture architecture;
  private final SequencedMap<String, StoredTensor> tensors;
  private final @Nullable TrainingPlan plan;
  private final SequencedMap<String, String> sources;

  ConvertedCheckpoint(
      TensorFile source,
      Architecture architecture,
      SequencedMap<String, StoredTensor> tensors,
      @Nullable TrainingPlan plan,
      SequencedMap<String, String> sources) {
    this.source = source;
    this.architecture = architecture;
    this.tensors = Collections.unmodifiableSequencedMap(tensors);
    this.plan = plan;
    this.sources = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(sources));
  }

  /** The network. */
  public Architecture architecture() {
    return architecture;
  }

  /** The published recipe it is, whatever its number of classes; empty if it is none. */
  public Optional<String> variant() {
    return ArchitectureRecognizer.variant(architecture);
  }

  /**
   * The state under the names and in the order of {@link org.unetrpp.model.StateLayout}, without
   * its aliases: float32 tensors and int64 counters. The heads of deep supervision may be missing.
   */
  public SequencedMap<String, StoredTensor> tensors() {
    return tensors;
  }

  /** How images were prepared in training, if a side file was given. */
  public Optional<TrainingPlan> plan() {
    return Optional.ofNullable(plan);
  }

  /** SHA-256 of the files read, by file name. */
  public SequencedMap<String, String> sources() {
    return sources;
  }

  /** Texts and numbers at the checkpoint's top, such as {@code epoch}. */
  public Map<String, String> metadata() {
    return source.metadata();
  }

  @Override
  public void close() {
    source.close();
  }
}
