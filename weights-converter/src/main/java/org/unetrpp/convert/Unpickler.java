package org.unetrpp.convert;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.math.BigInteger;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.weights.TensorFiles;

/**
 * Reads one pickle, protocols 0 to 5, as plain data.
 *
 * <p>A pickle is a program for a stack machine; this one knows the instructions but calls nothing
 * outside of {@link PickleFunction}. Work and memory are bounded by the pickle's own size. See <a
 * href="https://docs.python.org/3/library/pickletools.html">pickletools</a>.
 */
final class Unpickler {
  private static final long MAX_BYTES = 64L << 20;
  private static final int MAX_VALUES = 4_000_000;
  private static final int MAX_OPEN_MARKS = 1000;
  private static final int MAX_NUMBER_BYTES = 255;
  private static final int MAX_PROTOCOL = 5;

  private final FileBytes bytes;
  private final PickleCalls calls;
  private final @Nullable StorageTable storages;
  private final boolean torchScript;
  private final List<PyValue> stack = new ArrayList<>();
  private final Deque<Integer> marks = new ArrayDeque<>();
  private final Map<Long, PyValue> memo = new HashMap<>();
  private long instruction;
  private long lastText = -1;
  private int values;

  private Unpickler(FileBytes bytes, @Nullable StorageTable storages, boolean torchScript) {
    this.bytes = bytes;
    this.calls = new PickleCalls(bytes);
    this.storages = storages;
    this.torchScript = torchScript;
  }

  /**
   * Reads a file that is one pickle.
   *
   * @throws InvalidFileException if the pickle is damaged, wants what is not plain data, or is not
   *     all of the file
   */
  static PyValue file(Path path) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      FileBytes bytes = new FileBytes(path, "", TensorFiles.map(path, arena));
      PyValue root = plain(bytes);
      if (bytes.remaining() != 0) {
        throw bytes.invalid("%d bytes follow the pickle's end".formatted(bytes.remaining()));
      }
      return root;
    }
  }

  /**
   * Reads one pickle and leaves the place behind it.
   *
   * @throws InvalidFileException if the pickle is damaged, or wants what is not plain data
   */
  static PyValue plain(FileBytes bytes) throws InvalidFileException {
    return new Unpickler(bytes, null, false).load();
  }

  /**
   * Reads one pickle that refers to storages.
   *
   * @param storages takes note of the storages referred to
   * @param torchScript whether objects of TorchScript's classes may occur
   * @throws InvalidFileException if the pickle is damaged, or wants what is not plain data
   */
  static PyValue withStorages(FileBytes bytes, StorageTable storages, boolean torchScript)
      throws InvalidFileException {
    return new Unpickler(bytes, storages, torchScript).load();
  }

  private PyValue load() throws InvalidFileException {
    long limit = bytes.position() + MAX_BYTES;
    while (bytes.position() < limit) {
      instruction = bytes.position();
      int code = bytes.unsignedByte();
      if (code == '.') {
        return result();
      }
      if (!constant(code) && !container(code) && !memory(code) && !object(code)) {
        throw invalid("0x%02x is no instruction of a pickle".formatted(code));
      }
    }
    throw invalid("the pickle is longer than %d bytes".formatted(MAX_BYTES));
  }

  private PyValue result() throws InvalidFileException {
    if (stack.size() != 1 || !marks.isEmpty()) {
      String cause =
          lastText < 0
              ? "it is damaged before this"
              : "it is damaged before this, most likely in the length of the text at byte %d"
                  .formatted(lastText);
      throw invalid(
          "the pickle stops with %d unfinished values and %d bytes left: %s"
              .formatted(stack.size(), bytes.remaining(), cause));
    }
    return pop();
  }

  /** Instructions that push a constant; false if {@code code} is none of them. */
  private boolean constant(int code) throws InvalidFileException {
    switch (code) {
      case 'N' -> push(PyValue.None.NONE);
      case 0x88 -> push(new PyValue.Bool(true));
      case 0x89 -> push(new PyValue.Bool(false));
      case 'K' -> push(PyValue.Int.of(bytes.unsignedByte()));
      case 'M' -> push(PyValue.Int.of(bytes.unsignedShort()));
      case 'J' -> push(PyValue.Int.of(bytes.signedInt()));
      case 'I' -> pushIntLine();
      case 'L' -> push(new PyValue.Int(decimal(numberLine().replaceFirst("L$", ""))));
      case 0x8a -> pushNumber(bytes.unsignedByte());
      case 0x8b -> pushNumber(bytes.unsignedInt());
      case 'G' -> push(new PyValue.Real(bytes.bigEndianDouble()));
      case 'F' -> push(new PyValue.Real(real(numberLine())));
      case 'X' -> pushText(bytes.utf8(bytes.unsignedInt()));
      case 0x8c -> pushText(bytes.utf8(bytes.unsignedByte()));
      case 0x8d -> pushText(bytes.utf8(bytes.signedLong()));
      case 'T' -> pushText(bytes.latin1(bytes.unsignedInt()));
      case 'U' -> pushText(bytes.latin1(bytes.unsignedByte()));
      case 'S' -> push(new PyValue.Text(quoted(bytes.line())));
      case 'V' -> push(new PyValue.Text(unescaped(bytes.line())));
      case 'B' -> push(new PyValue.Bytes(bytes.array(bytes.unsignedInt())));
      case 'C' -> push(new PyValue.Bytes(bytes.array(bytes.unsignedByte())));
      case 0x8e, 0x96 -> push(new PyValue.Bytes(bytes.array(bytes.signedLong())));
      default -> {
        return false;
      }
    }
    return true;
  }

  /** Instructions that build tuples, lists and dictionaries. */
  private boolean container(int code) throws InvalidFileException {
    switch (code) {
      case '(' -> mark();
      case ')' -> push(new PyValue.Tuple(List.of()));
      case 't', 0x91 -> push(new PyValue.Tuple(popMark()));
      case 0x85 -> push(new PyValue.Tuple(popLast(1)));
      case 0x86 -> push(new PyValue.Tuple(popLast(2)));
      case 0x87 -> push(new PyValue.Tuple(popLast(3)));
      case ']', 0x8f -> push(new PyValue.Items());
      case 'l' -> pushList(popMark());
      case 'a' -> append(popLast(1));
      case 'e', 0x90 -> append(popMark());
      case '}' -> push(new PyValue.Dict());
      case 'd' -> pushDict(popMark());
      case 's' -> set(popLast(2));
      case 'u' -> set(popMark());
      default -> {
        return false;
      }
    }
    return true;
  }

  /** Instructions of the memo, the stack and the frame of a pickle. */
  private boolean memory(int code) throws InvalidFileException {
    switch (code) {
      case 0x80 -> requireProtocol(bytes.unsignedByte());
      case 0x95 -> requireFrame(bytes.signedLong());
      case '0' -> popOrCloseMark();
      case '1' -> popMark();
      case '2' -> push(top());
      case 'p' -> remember(decimal(numberLine()).longValue());
      case 'q' -> remember(bytes.unsignedByte());
      case 'r' -> remember(bytes.unsignedInt());
      case 0x94 -> remember(memo.size());
      case 'g' -> recall(decimal(numberLine()).longValue());
      case 'h' -> recall(bytes.unsignedByte());
      case 'j' -> recall(bytes.unsignedInt());
      default -> {
        return false;
      }
    }
    return true;
  }

  /** Instructions that name functions, call them, and fill what they made. */
  private boolean object(int code) throws InvalidFileException {
    switch (code) {
      case 'c' -> push(global(bytes.line(), bytes.line()));
      case 0x93 -> {
        List<PyValue> names = popLast(2);
        push(global(text(names.get(0)), text(names.get(1))));
      }
      case 'R', 0x81 -> {
        PyValue arguments = pop();
        push(call(pop(), arguments));
      }
      case 'i' -> {
        PyValue function = global(bytes.line(), bytes.line());
        push(call(function, new PyValue.Tuple(popMark())));
      }
      case 'o' -> {
        List<PyValue> parts = popMark();
        if (parts.isEmpty()) {
          throw invalid("an object has no class");
        }
        push(call(parts.getFirst(), new PyValue.Tuple(parts.subList(1, parts.size()))));
      }
      case 'b' -> {
        PyValue state = pop();
        calls.build(top(), state);
      }
      case 'Q' -> push(storage(pop()));
      case 'P' -> push(storage(new PyValue.Text(bytes.line())));
      case 0x82, 0x83, 0x84 ->
          throw invalid("refused: pickle wants an object of the extension registry");
      case 0x92 -> throw invalid("refused: pickle wants to make an object with named arguments");
      case 0x97, 0x98 -> throw invalid("refused: pickle wants a buffer from outside of the file");
      default -> {
        return false;
      }
    }
    return true;
  }

  private PyValue global(String module, String name) throws InvalidFileException {
    String full = module + "." + name;
    if (torchScript && full.startsWith("__torch__.")) {
      return new PyValue.ScriptClass(full);
    }
    return PickleFunction.global(full)
        .orElseThrow(() -> invalid("refused: pickle wants to call " + shortened(full)));
  }

  private PyValue call(PyValue function, PyValue arguments) throws InvalidFileException {
    if (!(arguments instanceof PyValue.Tuple(List<PyValue> values))) {
      throw invalid("the arguments of a call are a %s, not a tuple".formatted(arguments.kind()));
    }
    return switch (function) {
      case PyValue.ScriptClass _ -> new PyValue.ScriptObject();
      case PyValue.Callable(PickleFunction callable) -> calls.call(callable, values);
      default ->
          throw invalid("refused: pickle wants to call what is a %s".formatted(function.kind()));
    };
  }

  private PyValue storage(PyValue id) throws InvalidFileException {
    if (storages == null) {
      throw invalid("refers to a storage, which this file does not have");
    }
    return storages.resolve(id, bytes);
  }

  private void requireProtocol(int protocol) throws InvalidFileException {
    if (protocol > MAX_PROTOCOL) {
      throw invalid("pickle protocol %d, expected 0 to %d".formatted(protocol, MAX_PROTOCOL));
    }
  }

  private void requireFrame(long length) throws InvalidFileException {
    if (length < 0 || length > bytes.remaining()) {
      throw invalid(
          "a frame of %s bytes, but only %d are left: the file is cut off or damaged"
              .formatted(Long.toUnsignedString(length), bytes.remaining()));
    }
  }

  private void push(PyValue value) throws InvalidFileException {
    if (++values > MAX_VALUES) {
      throw invalid("the pickle holds more than %d values".formatted(MAX_VALUES));
    }
    stack.add(value);
  }

  /** A text whose length stands before it. */
  private void pushText(String text) throws InvalidFileException {
    lastText = instruction;
    push(new PyValue.Text(text));
  }

  private void pushIntLine() throws InvalidFileException {
    String line = numberLine();
    switch (line) {
      case "00" -> push(new PyValue.Bool(false));
      case "01" -> push(new PyValue.Bool(true));
      default -> push(new PyValue.Int(decimal(line)));
    }
  }

  private void pushNumber(long count) throws InvalidFileException {
    if (count > MAX_NUMBER_BYTES) {
      throw invalid("a number of %d bytes, expected at most %d".formatted(count, MAX_NUMBER_BYTES));
    }
    push(new PyValue.Int(bytes.number((int) count)));
  }

  private void pushList(List<PyValue> items) throws InvalidFileException {
    PyValue.Items list = new PyValue.Items();
    list.values().addAll(items);
    push(list);
  }

  private void pushDict(List<PyValue> items) throws InvalidFileException {
    push(new PyValue.Dict());
    set(items);
  }

  private void append(List<PyValue> items) throws InvalidFileException {
    if (!(top() instanceof PyValue.Items list)) {
      throw invalid("appends to a %s, expected a list".formatted(top().kind()));
    }
    list.values().addAll(items);
  }

  private void set(List<PyValue> items) throws InvalidFileException {
    if (!(top() instanceof PyValue.Dict dict)) {
      throw invalid("sets an item of a %s, expected a dictionary".formatted(top().kind()));
    }
    if (items.size() % 2 != 0) {
      throw invalid("a dictionary's key has no value");
    }
    for (int i = 0; i < items.size(); i += 2) {
      PyValue.Key key = PyValue.Key.of(items.get(i));
      if (key == null) {
        throw invalid("a %s as key of a dictionary".formatted(items.get(i).kind()));
      }
      dict.values().put(key, items.get(i + 1));
    }
  }

  private void mark() throws InvalidFileException {
    if (marks.size() >= MAX_OPEN_MARKS) {
      throw invalid("containers nested deeper than %d".formatted(MAX_OPEN_MARKS));
    }
    marks.push(stack.size());
  }

  private List<PyValue> popMark() throws InvalidFileException {
    if (marks.isEmpty()) {
      throw invalid("a container ends that has not begun");
    }
    int start = marks.pop();
    List<PyValue> tail = stack.subList(start, stack.size());
    List<PyValue> items = List.copyOf(tail);
    tail.clear();
    return items;
  }

  private void popOrCloseMark() throws InvalidFileException {
    if (!marks.isEmpty() && marks.peek() == stack.size()) {
      marks.pop();
    } else {
      pop();
    }
  }

  private List<PyValue> popLast(int count) throws InvalidFileException {
    if (available() < count) {
      throw invalid("takes %d values from a stack of %d".formatted(count, available()));
    }
    List<PyValue> tail = stack.subList(stack.size() - count, stack.size());
    List<PyValue> items = List.copyOf(tail);
    tail.clear();
    return items;
  }

  private PyValue pop() throws InvalidFileException {
    return popLast(1).getFirst();
  }

  private PyValue top() throws InvalidFileException {
    if (available() < 1) {
      throw invalid("takes a value from an empty stack");
    }
    return stack.getLast();
  }

  private int available() {
    return stack.size() - (marks.isEmpty() ? 0 : marks.element());
  }

  private void remember(long index) throws InvalidFileException {
    memo.put(index, top());
  }

  private void recall(long index) throws InvalidFileException {
    PyValue value = memo.get(index);
    if (value == null) {
      throw invalid("asks for remembered value %d, which there is not".formatted(index));
    }
    push(value);
  }

  private String numberLine() throws InvalidFileException {
    String line = bytes.line();
    if (line.length() > MAX_NUMBER_BYTES) {
      throw invalid("a number of %d digits".formatted(line.length()));
    }
    return line;
  }

  private BigInteger decimal(String digits) throws InvalidFileException {
    if (!digits.matches("[+-]?[0-9]+")) {
      throw invalid("%s is no whole number".formatted(shortened(digits)));
    }
    return new BigInteger(digits);
  }

  private double real(String digits) throws InvalidFileException {
    try {
      return switch (digits) {
        case "inf" -> Double.POSITIVE_INFINITY;
        case "-inf" -> Double.NEGATIVE_INFINITY;
        case "nan" -> Double.NaN;
        default -> Double.parseDouble(digits);
      };
    } catch (NumberFormatException e) {
      throw invalid("%s is no number".formatted(shortened(digits)));
    }
  }

  private String quoted(String line) throws InvalidFileException {
    int last = line.length() - 1;
    if (last < 1 || line.charAt(0) != line.charAt(last) || "'\"".indexOf(line.charAt(0)) < 0) {
      throw invalid("%s is no quoted text".formatted(shortened(line)));
    }
    String text = line.substring(1, last);
    if (text.indexOf('\\') >= 0) {
      throw invalid("text with escapes is not supported: %s".formatted(shortened(line)));
    }
    return text;
  }

  /** Undoes raw-unicode-escape, which escapes nothing but characters as {@code \\uXXXX}. */
  private String unescaped(String line) throws InvalidFileException {
    StringBuilder text = new StringBuilder(line.length());
    int position = 0;
    while (position < line.length()) {
      if (line.startsWith("\\u", position)) {
        int end = position + 6;
        if (end > line.length() || !line.substring(position + 2, end).matches("[0-9a-fA-F]{4}")) {
          throw invalid("%s has a broken escape".formatted(shortened(line)));
        }
        text.append((char) Integer.parseInt(line, position + 2, end, 16));
        position = end;
      } else {
        text.append(line.charAt(position++));
      }
    }
    return text.toString();
  }

  private String text(PyValue value) throws InvalidFileException {
    if (value instanceof PyValue.Text(String text)) {
      return text;
    }
    throw invalid("the name of a function is a %s, expected text".formatted(value.kind()));
  }

  private static String shortened(String text) {
    return text.length() <= 100 ? text : text.substring(0, 100) + "...";
  }

  private InvalidFileException invalid(String problem) {
    return bytes.invalidAt(instruction, problem);
  }
}
