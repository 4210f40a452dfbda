package org.unetrpp.convert;

import java.math.BigInteger;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.weights.StoredType;

/** The storages that a checkpoint's pickle refers to, by their key. */
final class StorageTable {
  private final SequencedMap<String, PyValue.Storage> storages = new LinkedHashMap<>();

  /** The storages met so far, whole, in the order they were met. */
  SequencedMap<String, PyValue.Storage> storages() {
    return Collections.unmodifiableSequencedMap(storages);
  }

  /** The storage of a key, if the pickle referred to it. */
  Optional<PyValue.Storage> find(String key) {
    return Optional.ofNullable(storages.get(key));
  }

  /**
   * The storage that a persistent id of PyTorch means: {@code ('storage', class, key, device,
   * elements)}, in old files followed by the part of it that is meant.
   *
   * @throws InvalidFileException if the id is not of this form, or contradicts an earlier one
   */
  PyValue.Storage resolve(PyValue id, FileBytes bytes) throws InvalidFileException {
    if (!(id instanceof PyValue.Tuple(List<PyValue> parts))
        || parts.size() < 5
        || parts.size() > 6
        || !(parts.get(0) instanceof PyValue.Text(String kind))
        || !kind.equals("storage")
        || !(parts.get(1) instanceof PyValue.StorageClass(@Nullable StoredType type))
        || !(parts.get(2) instanceof PyValue.Text(String key))
        || !(parts.get(4) instanceof PyValue.Int(BigInteger count))) {
      throw bytes.invalid("refers to something outside that is not a tensor's storage");
    }
    long elements = elements(count, key, bytes);
    PyValue.Storage whole = new PyValue.Storage(key, type, elements, 0, elements);
    PyValue.Storage earlier = storages.putIfAbsent(key, whole);
    if (earlier != null && !earlier.equals(whole)) {
      throw bytes.invalid("storage %s has two sizes or types".formatted(key));
    }
    return parts.size() == 6 ? part(whole, parts.get(5), bytes) : whole;
  }

  private static long elements(BigInteger count, String key, FileBytes bytes)
      throws InvalidFileException {
    // 59 bits, so that no size in bytes overflows.
    if (count.signum() < 0 || count.bitLength() > 59) {
      throw bytes.invalid("storage %s has %s elements".formatted(key, count));
    }
    return count.longValue();
  }

  /** The part of a storage that old files call a view: {@code (key, first, elements)}. */
  private static PyValue.Storage part(PyValue.Storage whole, PyValue view, FileBytes bytes)
      throws InvalidFileException {
    if (view == PyValue.None.NONE) {
      return whole;
    }
    if (!(view instanceof PyValue.Tuple(List<PyValue> parts))
        || parts.size() != 3
        || !(parts.get(1) instanceof PyValue.Int(BigInteger first))
        || !(parts.get(2) instanceof PyValue.Int(BigInteger count))
        || first.signum() < 0
        || count.signum() < 0
        || first.add(count).compareTo(BigInteger.valueOf(whole.elements())) > 0) {
      throw bytes.invalid("a view of storage %s lies outside of it".formatted(whole.key()));
    }
    return new PyValue.Storage(
        whole.key(), whole.type(), whole.elements(), first.longValue(), count.longValue());
  }
}
