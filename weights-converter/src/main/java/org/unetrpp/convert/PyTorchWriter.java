package org.unetrpp.convert;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import org.unetrpp.files.AtomicFile;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.NetworkState;
import org.unetrpp.model.StateEntry;
import org.unetrpp.model.StateLayout;
import org.unetrpp.weights.StoredTensor;

/**
 * Writes the state of a network as a checkpoint that PyTorch loads into the published UNETR++: the
 * zip format, entries in the published order, aliases on the storage of their original.
 */
public final class PyTorchWriter {
  private static final String FOLDER = "checkpoint/";

  private PyTorchWriter() {}

  /** What the checkpoint's pickle is. */
  public enum Form {
    /** The state itself. */
    BARE,
    /** A dictionary with the state under {@code state_dict}, as the published trainers write. */
    STATE_DICT
  }

  /**
   * Writes a checkpoint in one piece.
   *
   * @param target the file, replaced if it exists
   * @param architecture the network
   * @param tensors its state by the names of {@link StateLayout}, without aliases; the heads of
   *     deep supervision may be missing, and counters, which are then 0
   * @throws IllegalArgumentException if a tensor is missing or not of its shape
   * @throws IOException if the file cannot be written
   */
  public static void write(
      Path target, Architecture architecture, Map<String, StoredTensor> tensors, Form form)
      throws IOException {
    SequencedMap<String, StoredTensor> state = state(architecture, tensors);
    Map<String, Integer> storages = storages(StateLayout.of(architecture), state.keySet());
    PickleWriter pickle = new PickleWriter();
    if (form == Form.STATE_DICT) {
      pickle.beginDict();
      pickle.text("state_dict");
    }
    SequencedMap<Integer, StoredTensor> stored = new LinkedHashMap<>();
    pickle.beginOrderedDict();
    for (StoredTensor tensor : state.values()) {
      Integer storage = storages.get(tensor.name());
      pickle.text(tensor.name());
      pickle.tensor(tensor, String.valueOf(storage));
      stored.putIfAbsent(storage, tensor);
    }
    pickle.endItems();
    if (form == Form.STATE_DICT) {
      pickle.endItems();
    }
    write(target, pickle.finish(), List.copyOf(stored.values()));
  }

  /** The number of each entry's storage, which an alias shares with its original. */
  private static Map<String, Integer> storages(List<StateEntry> layout, Set<String> written) {
    Map<String, Integer> storages = new HashMap<>();
    int next = 0;
    for (StateEntry entry : layout) {
      if (written.contains(entry.name())) {
        Integer shared = entry.aliasOf() == null ? null : storages.get(entry.aliasOf());
        storages.put(entry.name(), shared == null ? next++ : shared);
      }
    }
    return storages;
  }

  private static void write(Path target, byte[] pickle, List<StoredTensor> storages)
      throws IOException {
    AtomicFile.write(
        target,
        out -> {
          ZipWriter zip = new ZipWriter(out);
          add(zip, "data.pkl", pickle);
          add(zip, "byteorder", "little".getBytes(StandardCharsets.US_ASCII));
          for (int i = 0; i < storages.size(); i++) {
            StoredTensor tensor = storages.get(i);
            zip.add(FOLDER + "data/" + i, tensor.byteSize(), tensor::writeTo);
          }
          add(zip, "version", "3\n".getBytes(StandardCharsets.US_ASCII));
          zip.finish();
        });
  }

  private static void add(ZipWriter zip, String name, byte[] content) throws IOException {
    zip.add(FOLDER + name, content.length, out -> out.write(content));
  }

  /** The entries to write, aliases included, in the published order. */
  private static SequencedMap<String, StoredTensor> state(
      Architecture architecture, Map<String, StoredTensor> tensors) {
    SequencedMap<String, StoredTensor> state = new LinkedHashMap<>();
    for (StateEntry entry : StateLayout.of(architecture)) {
      String original = entry.aliasOf() == null ? entry.name() : entry.aliasOf();
      StoredTensor tensor = tensors.get(original);
      if (tensor == null && NetworkState.isSupervisionHead(entry.name())) {
        continue;
      }
      if (tensor == null && entry.role() == StateEntry.Role.COUNTER) {
        tensor = Converter.counter(original, 0); // model files may lack them
      }
      if (tensor == null) {
        throw new IllegalArgumentException("the state has no tensor " + original);
      }
      if (!Converter.hasShape(tensor, entry)) {
        throw new IllegalArgumentException(
            "%s has shape %s, expected %s"
                .formatted(original, tensor.shapeText(), entry.shapeText()));
      }
      state.put(entry.name(), tensor.renamed(entry.name()));
    }
    return state;
  }
}
