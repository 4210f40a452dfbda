package org.unetrpp.convert;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.unetrpp.weights.StoredTensor;

/** Writes the few values of a state dictionary as a pickle of protocol 2. */
final class PickleWriter {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  PickleWriter() {
    out.write(0x80);
    out.write(2);
  }

  /** The pickle, ended. */
  byte[] finish() {
    out.write('.');
    return out.toByteArray();
  }

  /** Begins a dictionary, ended by {@link #endItems}; in between come key, value, key, value. */
  void beginDict() {
    out.write('}');
    out.write('(');
  }

  /** Begins an ordered dictionary, ended by {@link #endItems}. */
  void beginOrderedDict() {
    global("collections", "OrderedDict");
    out.write(')');
    out.write('R');
    out.write('(');
  }

  /** Ends the dictionary begun last. */
  void endItems() {
    out.write('u');
  }

  void text(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    out.write('X');
    number(bytes.length, Integer.BYTES);
    out.writeBytes(bytes);
  }

  /**
   * A tensor on a storage of its own length.
   *
   * @param tensor gives type and shape; its values go elsewhere
   * @param storage the storage's key
   */
  void tensor(StoredTensor tensor, String storage) {
    global("torch._utils", "_rebuild_tensor_v2");
    out.write('(');
    out.write('(');
    text("storage");
    global("torch", PickleFunction.storageClass(tensor.type()));
    text(storage);
    text("cpu");
    integer(tensor.elements());
    out.write('t');
    out.write('Q');
    integer(0);
    tuple(tensor.shape());
    tuple(strides(tensor.shape()));
    out.write(0x89); // requires no gradient
    beginOrderedDict(); // of no hooks
    endItems();
    out.write('t');
    out.write('R');
  }

  private void tuple(List<Long> numbers) {
    out.write('(');
    numbers.forEach(this::integer);
    out.write('t');
  }

  private void integer(long number) {
    if (number >= 0 && number < 256) {
      out.write('K');
      number(number, Byte.BYTES);
    } else if (number >= 0 && number <= Integer.MAX_VALUE) {
      out.write('J');
      number(number, Integer.BYTES);
    } else {
      out.write(0x8a);
      out.write(Long.BYTES);
      number(number, Long.BYTES);
    }
  }

  private void number(long number, int bytes) {
    for (int i = 0; i < bytes; i++) {
      out.write((byte) (number >>> (8 * i)));
    }
  }

  private void global(String module, String name) {
    out.write('c');
    out.writeBytes((module + "\n" + name + "\n").getBytes(StandardCharsets.US_ASCII));
  }

  private static List<Long> strides(List<Long> shape) {
    Long[] strides = new Long[shape.size()];
    long stride = 1;
    for (int axis = strides.length - 1; axis >= 0; axis--) {
      strides[axis] = stride;
      stride *= shape.get(axis);
    }
    return List.of(strides);
  }
}
