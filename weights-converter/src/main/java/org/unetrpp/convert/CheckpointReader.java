package org.unetrpp.convert;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.regex.Pattern;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.weights.StoredTensor;

/** Reads the containers that PyTorch has written checkpoints in. */
final class CheckpointReader {
  private static final BigInteger LEGACY_MAGIC = new BigInteger("1950a86a20f9469cfc6c", 16);
  private static final PyValue LEGACY_VERSION = PyValue.Int.of(1001);
  private static final Pattern DATA = Pattern.compile("[^/]+/data\\.pkl");
  private static final Pattern CHECKPOINT = Pattern.compile(".*\\.(pth|pt)");
  private static final int SHOWN_NAMES = 5;

  private final Path path;
  private final Arena arena;

  private CheckpointReader(Path path, Arena arena) {
    this.path = path;
    this.arena = arena;
  }

  /**
   * What a checkpoint holds.
   *
   * @param format the container
   * @param root the value of its pickle; a dictionary by member for an archive of checkpoints
   * @param tensors the tensors in it by name
   */
  record Content(String format, PyValue root, SequencedMap<String, StoredTensor> tensors) {}

  /** Gives the bytes of a storage. */
  @FunctionalInterface
  private interface StorageBytes {
    MemorySegment of(PyValue.Storage storage) throws InvalidFileException;
  }

  /**
   * Reads a mapped file.
   *
   * @param arena owns what has to be inflated
   * @throws InvalidFileException if the file is damaged or no checkpoint
   */
  static Content read(Path path, MemorySegment file, Arena arena) throws InvalidFileException {
    return new CheckpointReader(path, arena).read("", file, true);
  }

  private Content read(String place, MemorySegment file, boolean membersAllowed)
      throws InvalidFileException {
    byte[] start = file.asSlice(0, Math.min(4, file.byteSize())).toArray(ValueLayout.JAVA_BYTE);
    if (!ZipArchive.isZip(start)) {
      return readLegacy(place, file);
    }
    ZipArchive archive = ZipArchive.open(path, place, file, arena);
    List<String> pickles =
        archive.names().stream().filter(name -> DATA.matcher(name).matches()).toList();
    List<String> members =
        archive.names().stream().filter(name -> CHECKPOINT.matcher(name).matches()).toList();
    if (pickles.size() == 1) {
      return readZip(place, archive, pickles.getFirst().replaceFirst("data\\.pkl$", ""), file);
    }
    if (pickles.isEmpty() && !members.isEmpty() && membersAllowed) {
      return readMembers(archive, members);
    }
    throw new InvalidFileException(
        path,
        "a zip but no checkpoint: expected one FOLDER/data.pkl or members *.pth, found "
            + archive.names().stream().limit(SHOWN_NAMES).toList());
  }

  private Content readMembers(ZipArchive archive, List<String> members)
      throws InvalidFileException {
    PyValue.Dict root = new PyValue.Dict();
    SequencedMap<String, StoredTensor> tensors = new LinkedHashMap<>();
    for (String member : members) {
      Content content = read(member, archive.content(member), false);
      root.values().put(new PyValue.Key(PyValue.Key.Kind.TEXT, member), content.root);
      for (StoredTensor tensor : content.tensors.values()) {
        String name = member + "/" + tensor.name();
        tensors.put(name, tensor.renamed(name));
      }
    }
    return new Content("zip holding .pth files", root, tensors);
  }

  private Content readZip(String place, ZipArchive archive, String folder, MemorySegment file)
      throws InvalidFileException {
    requireLittleEndian(archive, folder);
    boolean torchScript = archive.contains(folder + "constants.pkl");
    String version = text(archive, folder + "version");
    String pickle = folder + "data.pkl";
    FileBytes bytes =
        new FileBytes(
            path, place.isEmpty() ? pickle : place + " " + pickle, archive.content(pickle));
    PyValue root = Unpickler.withStorages(bytes, new StorageTable(), torchScript);
    if (bytes.remaining() != 0) {
      throw bytes.invalid("%d bytes follow the pickle's end".formatted(bytes.remaining()));
    }
    Map<String, MemorySegment> read = new HashMap<>();
    StorageBytes storages =
        storage -> {
          MemorySegment known = read.get(storage.key());
          if (known == null) {
            known = entry(archive, folder + "data/" + storage.key(), storage);
            read.put(storage.key(), known);
          }
          return known;
        };
    String format = (torchScript ? "TorchScript zip version " : "zip version ") + version;
    return new Content(format, root, tensors(root, torchScript ? "." : "/", file, storages));
  }

  private MemorySegment entry(ZipArchive archive, String name, PyValue.Storage storage)
      throws InvalidFileException {
    MemorySegment content = archive.content(name);
    if (content.byteSize() != storage.byteSize()) {
      throw new InvalidFileException(
          path,
          "entry %s has %d bytes, expected %d for %d elements of storage %s"
              .formatted(
                  name, content.byteSize(), storage.byteSize(), storage.elements(), storage.key()));
    }
    return content;
  }

  private void requireLittleEndian(ZipArchive archive, String folder) throws InvalidFileException {
    String entry = folder + "byteorder";
    if (archive.contains(entry) && !text(archive, entry).equals("little")) {
      throw new InvalidFileException(
          path,
          "entry %s is '%s', expected 'little': big-endian checkpoints are not supported"
              .formatted(entry, text(archive, entry)));
    }
  }

  private String text(ZipArchive archive, String entry) throws InvalidFileException {
    MemorySegment content = archive.content(entry);
    if (content.byteSize() > 64) {
      throw new InvalidFileException(
          path, "entry %s has %d bytes, expected a word".formatted(entry, content.byteSize()));
    }
    byte[] text = content.toArray(ValueLayout.JAVA_BYTE);
    return new String(text, StandardCharsets.UTF_8).strip();
  }

  private Content readLegacy(String place, MemorySegment file) throws InvalidFileException {
    FileBytes bytes = new FileBytes(path, place, file);
    PyValue first = Unpickler.plain(bytes);
    if (!first.equals(new PyValue.Int(LEGACY_MAGIC))) {
      throw new InvalidFileException(
          path,
          "a bare pickle of a %s, not a checkpoint, with %d bytes after it"
              .formatted(first.kind(), bytes.remaining()));
    }
    PyValue version = Unpickler.plain(bytes);
    if (!version.equals(LEGACY_VERSION)) {
      throw bytes.invalid("not protocol version 1001 of checkpoints before PyTorch 1.6");
    }
    if (!(Unpickler.plain(bytes) instanceof PyValue.Dict system)
        || !system.get("little_endian").equals(Optional.of(new PyValue.Bool(true)))) {
      throw bytes.invalid("big-endian checkpoints are not supported");
    }
    StorageTable table = new StorageTable();
    PyValue root = Unpickler.withStorages(bytes, table, false);
    Map<String, MemorySegment> storages = legacyStorages(bytes, table);
    StorageBytes lookup =
        storage -> {
          MemorySegment known = storages.get(storage.key());
          if (known == null) {
            throw new InvalidFileException(path, "storage " + storage.key() + " is missing");
          }
          return known;
        };
    return new Content("legacy", root, tensors(root, "/", file, lookup));
  }

  /** The storages after the pickles: a list of their keys, then of each its length and bytes. */
  private static Map<String, MemorySegment> legacyStorages(FileBytes bytes, StorageTable table)
      throws InvalidFileException {
    if (!(Unpickler.plain(bytes) instanceof PyValue.Items keys)) {
      throw bytes.invalid("the list of storages is missing");
    }
    Map<String, MemorySegment> storages = new HashMap<>();
    for (PyValue value : keys.values()) {
      PyValue.Storage storage =
          value instanceof PyValue.Text(String key) ? table.find(key).orElse(null) : null;
      if (storage == null) {
        throw bytes.invalid("a storage is listed that nothing refers to");
      }
      long elements = bytes.signedLong();
      if (elements != storage.elements()) {
        throw bytes.invalid(
            "storage %s has %d elements, expected %d"
                .formatted(storage.key(), elements, storage.elements()));
      }
      if (storages.put(storage.key(), bytes.slice(storage.byteSize())) != null) {
        throw bytes.invalid("storage %s is listed twice".formatted(storage.key()));
      }
    }
    if (bytes.remaining() != 0) {
      throw bytes.invalid("%d bytes follow the last storage".formatted(bytes.remaining()));
    }
    return storages;
  }

  private SequencedMap<String, StoredTensor> tensors(
      PyValue root, String separator, MemorySegment file, StorageBytes storages)
      throws InvalidFileException {
    SequencedMap<String, StoredTensor> tensors = new LinkedHashMap<>();
    for (var entry : TensorLister.list(path, root, separator).sequencedEntrySet()) {
      PyValue.Tensor tensor = entry.getValue();
      MemorySegment storage = storages.of(tensor.storage());
      String name = entry.getKey();
      tensors.put(name, TensorView.of(path, name, tensor, storage, file.byteSize()));
    }
    return tensors;
  }
}
