package org.unetrpp.convert;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.unetrpp.weights.StoredType;

/** The functions and classes that a pickle may name; every other name is refused. */
enum PickleFunction {
  ORDERED_DICT("collections.OrderedDict"),
  REBUILD_TENSOR("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"),
  REBUILD_TENSOR_OF_TYPE("torch._utils._rebuild_tensor_v3"),
  REBUILD_PARAMETER(
      "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"),
  SIZE("torch.Size"),
  DEVICE("torch.device"),
  SCRIPT_LIST(
      "torch.jit._pickle.build_intlist",
      "torch.jit._pickle.build_doublelist",
      "torch.jit._pickle.build_boollist",
      "torch.jit._pickle.build_tensorlist"),
  ENCODE("_codecs.encode"),
  BYTES("__builtin__.bytes", "builtins.bytes"),
  SET("__builtin__.set", "builtins.set", "__builtin__.frozenset", "builtins.frozenset"),
  NUMPY_ARRAY("numpy.ndarray"),
  NUMPY_TYPE("numpy.dtype"),
  NUMPY_RECONSTRUCT("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"),
  NUMPY_SCALAR("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"),
  NUMPY_FROM_BUFFER("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer");

  private static final Map<String, PyValue> GLOBALS = globals();

  @SuppressWarnings("ImmutableEnumChecker") // List.of makes lists that never change
  private final List<String> names;

  PickleFunction(String... names) {
    this.names = List.of(names);
  }

  /** What a pickle means by a full name, if it may name it. */
  static Optional<PyValue> global(String name) {
    return Optional.ofNullable(GLOBALS.get(name));
  }

  /** PyTorch's name for the storages of a type, without the module. */
  static String storageClass(StoredType type) {
    return switch (type) {
      case BOOL -> "BoolStorage";
      case UINT8 -> "ByteStorage";
      case INT8 -> "CharStorage";
      case INT16 -> "ShortStorage";
      case INT32 -> "IntStorage";
      case INT64 -> "LongStorage";
      case FLOAT16 -> "HalfStorage";
      case BFLOAT16 -> "BFloat16Storage";
      case FLOAT32 -> "FloatStorage";
      case FLOAT64 -> "DoubleStorage";
    };
  }

  /** The full name, for messages. */
  String text() {
    return names.getFirst();
  }

  private static Map<String, PyValue> globals() {
    Map<String, PyValue> globals = new HashMap<>();
    for (PickleFunction function : values()) {
      function.names.forEach(name -> globals.put(name, new PyValue.Callable(function)));
    }
    for (StoredType type : StoredType.values()) {
      globals.put("torch." + storageClass(type), new PyValue.StorageClass(type));
      globals.put("torch." + type.text(), new PyValue.TorchType(type));
    }
    globals.put("torch.UntypedStorage", new PyValue.StorageClass(null));
    globals.put("torch.storage.UntypedStorage", new PyValue.StorageClass(null));
    return Map.copyOf(globals);
  }
}
