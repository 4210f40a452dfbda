package org.unetrpp.convert;

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.weights.StoredType;

/** What the functions do that a pickle may call: they make values of their arguments. */
final class PickleCalls {
  private static final int MAX_RANK = 64;
  private static final int SPARE_BYTES = 1 << 16;

  private final FileBytes bytes;
  private long copiedBytes;

  PickleCalls(FileBytes bytes) {
    this.bytes = bytes;
  }

  /**
   * The result of a call.
   *
   * @throws InvalidFileException if the arguments are not those the function takes
   */
  PyValue call(PickleFunction function, List<PyValue> arguments) throws InvalidFileException {
    Arguments given = new Arguments(function, arguments);
    return switch (function) {
      case ORDERED_DICT -> orderedDict(given);
      case REBUILD_TENSOR -> rebuildTensor(given);
      case REBUILD_TENSOR_OF_TYPE -> rebuildTensorOfType(given);
      case REBUILD_PARAMETER -> given.tensor(0);
      case SIZE, SCRIPT_LIST -> given.sequence(0);
      case SET -> arguments.isEmpty() ? new PyValue.Tuple(List.of()) : given.sequence(0);
      case DEVICE -> given.textValue(0);
      case ENCODE -> encode(given);
      case BYTES -> {
        given.requireCount(0, 0);
        yield new PyValue.Bytes(new byte[0]);
      }
      case NUMPY_TYPE -> numpyType(given);
      case NUMPY_RECONSTRUCT -> new PyValue.NumpyArray();
      case NUMPY_SCALAR -> numpyScalar(given);
      case NUMPY_FROM_BUFFER -> numpyFromBuffer(given);
      case NUMPY_ARRAY -> throw bytes.invalid("refused: pickle wants to call " + function.text());
    };
  }

  /**
   * Gives a value that was made before the rest of its content.
   *
   * @throws InvalidFileException if that value takes no content, or not this
   */
  void build(PyValue target, PyValue state) throws InvalidFileException {
    switch (target) {
      case PyValue.ScriptObject object -> object.setState(state);
      case PyValue.NumpyType type -> setByteOrder(type, content("numpy.dtype", state));
      case PyValue.NumpyArray array -> fill(array, content("numpy.ndarray", state));
      case PyValue.Dict _ when state instanceof PyValue.Dict -> {
        // Attributes of an ordered dictionary: PyTorch's version numbers of modules, unused.
      }
      default ->
          throw bytes.invalid(
              "a %s cannot take a %s as its content".formatted(target.kind(), state.kind()));
    }
  }

  private Arguments content(String name, PyValue state) throws InvalidFileException {
    if (state instanceof PyValue.Tuple(List<PyValue> values)) {
      return new Arguments(name, values);
    }
    throw bytes.invalid(
        "the content of %s is a %s, expected a tuple".formatted(name, state.kind()));
  }

  private PyValue rebuildTensor(Arguments given) throws InvalidFileException {
    given.requireCount(4, 7);
    PyValue.Storage storage = given.storage(0);
    StoredType type = storage.type();
    if (type == null) {
      throw bytes.invalid("a tensor on storage %s has no type".formatted(storage.key()));
    }
    return tensor(given, storage, type);
  }

  private PyValue rebuildTensorOfType(Arguments given) throws InvalidFileException {
    given.requireCount(7, 8);
    if (!(given.value(6) instanceof PyValue.TorchType(StoredType type))) {
      throw given.unexpected(6, "a type of PyTorch");
    }
    return tensor(given, given.storage(0), type);
  }

  private PyValue tensor(Arguments given, PyValue.Storage storage, StoredType type)
      throws InvalidFileException {
    List<Long> shape = given.extents(2);
    List<Long> strides = given.extents(3);
    if (shape.size() != strides.size() || shape.size() > MAX_RANK) {
      throw bytes.invalid("a tensor of shape %s has strides %s".formatted(shape, strides));
    }
    return new PyValue.Tensor(storage, type, given.extent(1), shape, strides);
  }

  /** A dictionary, which pickles of Python 2 give its pairs at once. */
  private PyValue orderedDict(Arguments given) throws InvalidFileException {
    given.requireCount(0, 1);
    PyValue.Dict dict = new PyValue.Dict();
    List<PyValue> pairs = given.count() == 0 ? List.of() : given.items(0);
    requireCopy(pairs.size());
    for (PyValue pair : pairs) {
      List<PyValue> parts = PyValue.parts(pair);
      PyValue.Key key = parts.size() == 2 ? PyValue.Key.of(parts.getFirst()) : null;
      if (key == null) {
        throw given.unexpected(0, "pairs of key and value");
      }
      dict.values().put(key, parts.getLast());
    }
    return dict;
  }

  /** Text to bytes, as pickles before protocol 3 spell bytes. */
  private PyValue encode(Arguments given) throws InvalidFileException {
    given.requireCount(2, 2);
    String text = given.text(0);
    if (!given.text(1).equals("latin1")) {
      throw given.unexpected(1, "latin1");
    }
    return new PyValue.Bytes(latin1(text));
  }

  private byte[] latin1(String text) throws InvalidFileException {
    requireCopy(text.length());
    if (!StandardCharsets.ISO_8859_1.newEncoder().canEncode(text)) {
      throw bytes.invalid("bytes are spelt with characters beyond latin1");
    }
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  /** Keeps calls on one long text, repeated, from making more bytes than the file has. */
  private void requireCopy(long count) throws InvalidFileException {
    copiedBytes += count;
    if (copiedBytes > bytes.size() + SPARE_BYTES) {
      throw bytes.invalid("the pickle makes more bytes than it has");
    }
  }

  private PyValue numpyType(Arguments given) throws InvalidFileException {
    given.requireCount(1, 3);
    String text = given.text(0);
    if (text.equals("?")) {
      return new PyValue.NumpyType('b', 1);
    }
    if (text.matches("U[1-9][0-9]{0,3}")) {
      return new PyValue.NumpyType('U', 4 * Integer.parseInt(text.substring(1)));
    }
    if (!text.matches("b1|[iu][1248]|f[248]|O8")) {
      throw given.unexpected(0, "a NumPy type of b1, i1 to i8, u1 to u8, f2 to f8, U or O8");
    }
    return new PyValue.NumpyType(text.charAt(0), text.charAt(1) - '0');
  }

  private void setByteOrder(PyValue.NumpyType type, Arguments state) throws InvalidFileException {
    String order = state.text(1);
    if (!order.matches("[<>|=]")) {
      throw state.unexpected(1, "a byte order");
    }
    type.setBigEndian(order.equals(">"));
  }

  private void fill(PyValue.NumpyArray array, Arguments state) throws InvalidFileException {
    state.requireCount(5, 5);
    if (state.numpyType(2).letter() == 'O') {
      fill(array, state.extents(1), state.items(4));
    } else {
      fill(array, state.extents(1), state.numpyType(2), state.bytes(4), state.truth(3));
    }
  }

  private PyValue numpyFromBuffer(Arguments given) throws InvalidFileException {
    given.requireCount(4, 4);
    PyValue.NumpyArray array = new PyValue.NumpyArray();
    boolean columns = given.text(3).equals("F");
    fill(array, given.extents(2), given.numpyType(1), given.bytes(0), columns);
    return array;
  }

  private void fill(
      PyValue.NumpyArray array,
      List<Long> shape,
      PyValue.NumpyType type,
      byte[] content,
      boolean columns)
      throws InvalidFileException {
    if (columns && shape.stream().filter(extent -> extent > 1).count() > 1) {
      throw bytes.invalid("NumPy arrays in column order are not supported");
    }
    long elements = product(shape);
    if (elements > content.length || elements * type.bytes() != content.length) {
      throw bytes.invalid(
          "a NumPy array of shape %s has %d bytes, expected %d of each value"
              .formatted(shape, content.length, type.bytes()));
    }
    array.fill(type, content);
  }

  private void fill(PyValue.NumpyArray array, List<Long> shape, List<PyValue> values)
      throws InvalidFileException {
    if (product(shape) != values.size()) {
      throw bytes.invalid(
          "a NumPy array of shape %s has %d values".formatted(shape, values.size()));
    }
    requireCopy(values.size());
    array.fill(values);
  }

  private long product(List<Long> shape) throws InvalidFileException {
    try {
      return shape.stream().reduce(1L, Math::multiplyExact);
    } catch (ArithmeticException e) {
      throw bytes.invalid("a NumPy array of shape %s, larger than any file".formatted(shape));
    }
  }

  private PyValue numpyScalar(Arguments given) throws InvalidFileException {
    given.requireCount(2, 2);
    PyValue.NumpyType type = given.numpyType(0);
    byte[] content = given.bytes(1);
    if (content.length != type.bytes()) {
      throw given.unexpected(1, type.bytes() + " bytes");
    }
    if (type.letter() == 'O') {
      throw given.unexpected(0, "a type of numbers or text");
    }
    return type.value(content, 0);
  }

  /** The arguments of one call, with errors that name the function. */
  private final class Arguments {
    private final String name;
    private final List<PyValue> values;

    Arguments(PickleFunction function, List<PyValue> values) {
      this(function.text(), values);
    }

    Arguments(String name, List<PyValue> values) {
      this.name = name;
      this.values = values;
    }

    InvalidFileException unexpected(int index, String expected) {
      String found = index < values.size() ? values.get(index).kind() : "nothing";
      if (index < values.size() && values.get(index) instanceof PyValue.Text(String text)) {
        found = "'" + text.substring(0, Math.min(40, text.length())) + "'";
      }
      return bytes.invalid(
          "argument %d of %s is %s, expected %s".formatted(index + 1, name, found, expected));
    }

    void requireCount(int least, int most) throws InvalidFileException {
      if (values.size() < least || values.size() > most) {
        throw bytes.invalid(
            "%s has %d arguments, expected %d to %d".formatted(name, values.size(), least, most));
      }
    }

    @Nullable PyValue value(int index) {
      return index < values.size() ? values.get(index) : null;
    }

    PyValue textValue(int index) throws InvalidFileException {
      return new PyValue.Text(text(index));
    }

    String text(int index) throws InvalidFileException {
      if (value(index) instanceof PyValue.Text(String text)) {
        return text;
      }
      throw unexpected(index, "text");
    }

    boolean truth(int index) throws InvalidFileException {
      return switch (value(index)) {
        case PyValue.Bool(boolean truth) -> truth;
        case PyValue.Int(BigInteger number) -> number.signum() != 0;
        case null, default -> throw unexpected(index, "true or false");
      };
    }

    /** Bytes, or text of a pickle of Python 2, where the two were one. */
    byte[] bytes(int index) throws InvalidFileException {
      return switch (value(index)) {
        case PyValue.Bytes content -> content.values();
        case PyValue.Text(String text) -> latin1(text);
        case null, default -> throw unexpected(index, "bytes");
      };
    }

    PyValue.Storage storage(int index) throws InvalidFileException {
      if (value(index) instanceof PyValue.Storage storage) {
        return storage;
      }
      throw unexpected(index, "a storage");
    }

    PyValue.Tensor tensor(int index) throws InvalidFileException {
      if (value(index) instanceof PyValue.Tensor tensor) {
        return tensor;
      }
      throw unexpected(index, "a tensor");
    }

    PyValue.NumpyType numpyType(int index) throws InvalidFileException {
      if (value(index) instanceof PyValue.NumpyType type) {
        return type;
      }
      throw unexpected(index, "a NumPy type");
    }

    int count() {
      return values.size();
    }

    List<PyValue> items(int index) throws InvalidFileException {
      return PyValue.parts(sequence(index));
    }

    PyValue sequence(int index) throws InvalidFileException {
      PyValue value = value(index);
      if (value instanceof PyValue.Tuple || value instanceof PyValue.Items) {
        return value;
      }
      throw unexpected(index, "a list or tuple");
    }

    long extent(int index) throws InvalidFileException {
      return extent(value(index), index);
    }

    List<Long> extents(int index) throws InvalidFileException {
      if (!(value(index) instanceof PyValue.Tuple(List<PyValue> parts))) {
        throw unexpected(index, "a tuple of whole numbers");
      }
      if (parts.size() > MAX_RANK) {
        throw unexpected(index, "at most %d axes".formatted(MAX_RANK));
      }
      List<Long> extents = new ArrayList<>(parts.size());
      for (PyValue part : parts) {
        extents.add(extent(part, index));
      }
      return extents;
    }

    private long extent(@Nullable PyValue value, int index) throws InvalidFileException {
      if (value instanceof PyValue.Int(BigInteger number)
          && number.signum() >= 0
          && number.bitLength() < Long.SIZE) {
        return number.longValue();
      }
      throw unexpected(index, "whole numbers from 0");
    }
  }
}
