package org.unetrpp.convert;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.weights.StoredTensor;

/** Values of a tensor within the storage it views, checked once and gathered when asked for. */
final class TensorView {
  private final MemorySegment storage;
  private final long offset;
  private final int elementBytes;
  private final List<Long> shape;
  private final List<Long> strides;
  private final long elements;

  private TensorView(
      MemorySegment storage,
      long offset,
      int elementBytes,
      List<Long> shape,
      List<Long> strides,
      long elements) {
    this.storage = storage;
    this.offset = offset;
    this.elementBytes = elementBytes;
    this.shape = shape;
    this.strides = strides;
    this.elements = elements;
  }

  /**
   * A tensor whose values are the storage's own bytes where they lie in C order, and copies
   * otherwise.
   *
   * @param path the file, for messages
   * @param name the tensor's name
   * @param tensor what the pickle says of it
   * @param storage all bytes of its storage
   * @param maxBytes largest size of a tensor that repeats values of its storage
   * @throws InvalidFileException if the tensor reaches beyond its storage or is larger than {@code
   *     maxBytes}
   */
  static StoredTensor of(
      Path path, String name, PyValue.Tensor tensor, MemorySegment storage, long maxBytes)
      throws InvalidFileException {
    PyValue.Storage view = tensor.storage();
    int unit = view.type() == null ? 1 : view.type().bytes();
    MemorySegment visible = storage.asSlice(view.first() * unit, view.count() * unit);
    try {
      TensorView values = checked(tensor, visible);
      long size = Math.multiplyExact(values.elements, (long) values.elementBytes);
      if (size > Math.max(maxBytes, visible.byteSize())) {
        throw new InvalidFileException(
            path,
            "tensor %s of %s repeats its storage to %d bytes, more than the file has"
                .formatted(name, tensor.shape(), size));
      }
      if (values.isContiguous()) {
        MemorySegment bytes =
            size == 0 ? visible.asSlice(0, 0) : visible.asSlice(values.byteOffset(), size);
        return StoredTensor.of(name, tensor.type(), tensor.shape(), bytes);
      }
      return StoredTensor.gathered(name, tensor.type(), tensor.shape(), values::gather);
    } catch (ArithmeticException | IndexOutOfBoundsException e) {
      throw new InvalidFileException(
          path,
          "tensor %s of shape %s, strides %s and offset %d reaches beyond storage %s of %d bytes"
              .formatted(
                  name,
                  tensor.shape(),
                  tensor.strides(),
                  tensor.offset(),
                  view.key(),
                  visible.byteSize()),
          e);
    }
  }

  private static TensorView checked(PyValue.Tensor tensor, MemorySegment visible) {
    long elements = tensor.shape().stream().reduce(1L, Math::multiplyExact);
    long available = visible.byteSize() / tensor.type().bytes();
    if (elements > 0) {
      long last = tensor.offset();
      for (int axis = 0; axis < tensor.shape().size(); axis++) {
        long reach = Math.multiplyExact(tensor.shape().get(axis) - 1, tensor.strides().get(axis));
        last = Math.addExact(last, reach);
      }
      Objects.checkIndex(last, available);
    }
    return new TensorView(
        visible,
        tensor.offset(),
        tensor.type().bytes(),
        tensor.shape(),
        tensor.strides(),
        elements);
  }

  private long byteOffset() {
    return offset * elementBytes;
  }

  private boolean isContiguous() {
    long expected = 1;
    for (int axis = shape.size() - 1; axis >= 0; axis--) {
      if (shape.get(axis) != 1 && strides.get(axis) != expected) {
        return elements == 0;
      }
      expected *= shape.get(axis);
    }
    return true;
  }

  private MemorySegment gather() {
    MemorySegment gathered = Arena.ofAuto().allocate(elements * elementBytes, 8);
    long[] index = new long[shape.size()];
    long source = offset;
    for (long target = 0; target < elements; target++) {
      MemorySegment.copy(
          storage, source * elementBytes, gathered, target * elementBytes, elementBytes);
      for (int axis = shape.size() - 1; axis >= 0; axis--) {
        source += strides.get(axis);
        if (++index[axis] < shape.get(axis)) {
          break;
        }
        source -= shape.get(axis) * strides.get(axis);
        index[axis] = 0;
      }
    }
    return gathered;
  }
}
