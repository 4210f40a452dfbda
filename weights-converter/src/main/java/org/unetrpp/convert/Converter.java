package org.unetrpp.convert;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.grid.Extents;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.NetworkState;
import org.unetrpp.model.StateEntry;
import org.unetrpp.model.StateLayout;
import org.unetrpp.weights.StoredTensor;
import org.unetrpp.weights.StoredType;
import org.unetrpp.weights.TensorFile;
import org.unetrpp.weights.TensorFiles;

/** Turns a published checkpoint of UNETR++ into the state of a network of this project. */
public final class Converter {
  private static final int SHOWN_NAMES = 5;

  private Converter() {}

  /**
   * What the caller knows and asks for.
   *
   * @param variant the published recipe it must be, or null to read the architecture off the file
   * @param patch the patch of the network, or null to infer it
   * @param headsRequired whether the heads of deep supervision must be there, which only training
   *     needs
   */
  public record Options(@Nullable String variant, @Nullable Extents patch, boolean headsRequired) {
    /** Infers everything and accepts a checkpoint without the heads of deep supervision. */
    public static final Options DEFAULT = new Options(null, null, false);

    public Options {
      if (variant != null && Architecture.published(variant).isEmpty()) {
        throw new IllegalArgumentException(
            "variant is %s, expected one of %s".formatted(variant, Architecture.publishedNames()));
      }
    }
  }

  /**
   * Opens a checkpoint, recognizes the network and checks that all of its state is there.
   *
   * @param checkpoint weights in any known format, with the names of published checkpoints
   * @param sideFile the {@code .pkl} that training wrote beside it, or a plans file, or null
   * @throws InvalidFileException if a file is damaged, holds no UNETR++, lacks tensors, has others,
   *     or if the two files contradict each other
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the file lives as long as the result
  public static ConvertedCheckpoint convert(
      Path checkpoint, @Nullable Path sideFile, Options options) throws IOException {
    TrainingPlan plan = sideFile == null ? null : TrainingPlan.read(sideFile);
    TensorFile file = TensorFiles.open(checkpoint);
    try {
      SequencedMap<String, StoredTensor> state = StateDictionary.find(file);
      Architecture architecture = architecture(checkpoint, state, plan, options);
      if (sideFile != null && plan != null) {
        requireAgreement(sideFile, plan, architecture);
      }
      SequencedMap<String, StoredTensor> tensors =
          tensors(checkpoint, state, StateLayout.of(architecture), options.headsRequired);
      return new ConvertedCheckpoint(
          file, architecture, tensors, plan, sources(checkpoint, sideFile));
    } catch (IOException | RuntimeException e) {
      file.close();
      throw e;
    }
  }

  private static Architecture architecture(
      Path path, Map<String, StoredTensor> state, @Nullable TrainingPlan plan, Options options)
      throws InvalidFileException {
    Optional<Architecture> wanted =
        Optional.ofNullable(options.variant).flatMap(Architecture::published);
    Extents required =
        options.patch != null ? options.patch : wanted.map(Architecture::patch).orElse(null);
    Extents suggested = plan == null ? null : plan.patch();
    Architecture found = ArchitectureRecognizer.recognize(path, state, required, suggested);
    if (wanted.isPresent()) {
      Architecture expected = wanted.get().withPatch(found.patch()).withClasses(found.classes());
      if (!found.equals(expected)) {
        throw new InvalidFileException(
            path,
            "not of variant %s: it is %s, expected %s".formatted(options.variant, found, expected));
      }
    }
    return found;
  }

  private static void requireAgreement(Path sideFile, TrainingPlan plan, Architecture architecture)
      throws InvalidFileException {
    if (plan.classes() != architecture.classes()
        || plan.modalities().size() != architecture.inputChannels()) {
      throw new InvalidFileException(
          sideFile,
          "plans %d classes and modalities %s, but the checkpoint has %d classes and %d channels"
              .formatted(
                  plan.classes(),
                  plan.modalities(),
                  architecture.classes(),
                  architecture.inputChannels()));
    }
  }

  private static SequencedMap<String, StoredTensor> tensors(
      Path path, Map<String, StoredTensor> state, List<StateEntry> layout, boolean headsRequired)
      throws InvalidFileException {
    SequencedMap<String, StoredTensor> tensors = new LinkedHashMap<>();
    List<String> missing = new ArrayList<>();
    List<String> misshaped = new ArrayList<>();
    Set<String> unknown = new LinkedHashSet<>(state.keySet());
    for (StateEntry entry : layout) {
      unknown.remove(entry.name());
      StoredTensor tensor = state.get(entry.name());
      if (tensor == null) {
        if (entry.role() == StateEntry.Role.COUNTER) {
          tensors.put(entry.name(), counter(entry.name(), 0));
        } else if (entry.aliasOf() == null
            && (headsRequired || !NetworkState.isSupervisionHead(entry.name()))) {
          missing.add(entry.name() + " " + entry.shapeText());
        }
      } else if (!hasShape(tensor, entry)
          || (entry.role() != StateEntry.Role.COUNTER && !tensor.type().isFloating())) {
        misshaped.add(
            "%s is %s%s, expected %s"
                .formatted(
                    entry.name(), tensor.type().text(), tensor.shapeText(), entry.shapeText()));
      } else {
        // As when PyTorch loads a state, the later name of one tensor wins.
        String name = entry.aliasOf() == null ? entry.name() : entry.aliasOf();
        tensors.put(name, converted(tensor.renamed(name), entry.role()));
      }
    }
    requireNone(path, missing, List.copyOf(unknown), misshaped);
    return tensors;
  }

  /** Whether a tensor has the shape of an entry. */
  static boolean hasShape(StoredTensor tensor, StateEntry entry) {
    return tensor.shape().equals(entry.shape().stream().map(Integer::longValue).toList());
  }

  private static StoredTensor converted(StoredTensor tensor, StateEntry.Role role) {
    if (role != StateEntry.Role.COUNTER) {
      return tensor.as(StoredType.FLOAT32);
    }
    return tensor.type() == StoredType.INT64
        ? tensor
        : counter(tensor.name(), (long) tensor.toFloats()[0]);
  }

  /** A tensor that counts training steps. */
  static StoredTensor counter(String name, long count) {
    byte[] bytes = new byte[Long.BYTES];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) (count >>> (8 * i));
    }
    return StoredTensor.of(name, StoredType.INT64, List.of(), MemorySegment.ofArray(bytes));
  }

  private static void requireNone(
      Path path, List<String> missing, List<String> unknown, List<String> misshaped)
      throws InvalidFileException {
    List<String> problems = new ArrayList<>();
    addProblem(problems, "missing", missing);
    addProblem(problems, "unknown", unknown);
    addProblem(problems, "of another shape or type", misshaped);
    if (!problems.isEmpty()) {
      throw new InvalidFileException(
          path, "not the state of a UNETR++: " + String.join("; ", problems));
    }
  }

  private static void addProblem(List<String> problems, String what, List<String> names) {
    if (!names.isEmpty()) {
      String shown = String.join(", ", names.subList(0, Math.min(SHOWN_NAMES, names.size())));
      String more = names.size() > SHOWN_NAMES ? ", ..." : "";
      problems.add("%d tensors %s: %s%s".formatted(names.size(), what, shown, more));
    }
  }

  private static SequencedMap<String, String> sources(Path checkpoint, @Nullable Path sideFile)
      throws IOException {
    SequencedMap<String, String> sources = new LinkedHashMap<>();
    sources.put(String.valueOf(checkpoint.getFileName()), FileDigest.sha256(checkpoint));
    if (sideFile != null) {
      sources.put(String.valueOf(sideFile.getFileName()), FileDigest.sha256(sideFile));
    }
    return sources;
  }
}
