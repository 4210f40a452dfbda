package org.unetrpp.convert;

import java.math.BigInteger;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.DoubleStream;
import org.unetrpp.files.InvalidFileException;

/**
 * Takes apart the values of one file; what is not as it should be is told with its key.
 *
 * @param path of the file, for messages
 * @param wanted what the file should be, such as "plans file"
 */
record PickledValues(Path path, String wanted) {
  PyValue.Dict dict(PyValue value, String name) throws InvalidFileException {
    if (value instanceof PyValue.Dict dict) {
      return dict;
    }
    throw invalid(name, "a " + value.kind(), "a dictionary");
  }

  List<PyValue> list(PyValue value, String name) throws InvalidFileException {
    return switch (value) {
      case PyValue.Items _, PyValue.Tuple _, PyValue.NumpyArray _ -> PyValue.parts(value);
      default -> throw invalid(name, "a " + value.kind(), "a list");
    };
  }

  int integer(PyValue value, String name) throws InvalidFileException {
    if (value instanceof PyValue.Int(BigInteger number) && number.bitLength() < Integer.SIZE) {
      return number.intValue();
    }
    throw invalid(name, "a " + value.kind(), "a whole number");
  }

  double real(PyValue value, String name) throws InvalidFileException {
    return switch (value) {
      case PyValue.Int(BigInteger number) -> number.doubleValue();
      case PyValue.Real(double number) -> number;
      default -> throw invalid(name, "a " + value.kind(), "a number");
    };
  }

  boolean truth(PyValue value, String name) throws InvalidFileException {
    if (value instanceof PyValue.Bool(boolean truth)) {
      return truth;
    }
    throw invalid(name, "a " + value.kind(), "true or false");
  }

  String text(PyValue value, String name) throws InvalidFileException {
    if (value instanceof PyValue.Text(String text)) {
      return text;
    }
    throw invalid(name, "a " + value.kind(), "a text");
  }

  /** Three numbers, one for each axis. */
  double[] axes(PyValue value, String name) throws InvalidFileException {
    List<PyValue> parts = list(value, name);
    double[] numbers = new double[parts.size()];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = real(parts.get(i), name + "/" + i);
    }
    if (numbers.length != 3 || !DoubleStream.of(numbers).allMatch(Double::isFinite)) {
      throw invalid(
          name, value.kind() + " of " + numbers.length, "three numbers, one for each axis");
    }
    return numbers;
  }

  /** Three whole numbers, one for each axis. */
  int[] wholeAxes(PyValue value, String name) throws InvalidFileException {
    double[] numbers = axes(value, name);
    if (!DoubleStream.of(numbers).allMatch(number -> number == (int) number && number >= 0)) {
      throw invalid(name, Arrays.toString(numbers), "whole numbers from 0");
    }
    return Arrays.stream(numbers).mapToInt(number -> (int) number).toArray();
  }

  /** The values of a dictionary with a number for each channel. */
  List<PyValue> perChannel(PyValue.Dict parent, String name, int channels)
      throws InvalidFileException {
    PyValue.Dict byChannel = dict(require(parent, name), name);
    List<PyValue> values = new ArrayList<>();
    for (int channel = 0; channel < channels; channel++) {
      String place = name + "/" + channel;
      values.add(byChannel.get(channel).orElseThrow(() -> missing(place)));
    }
    return values;
  }

  /** A text for each channel. */
  List<String> texts(PyValue.Dict parent, String name, int channels) throws InvalidFileException {
    List<String> texts = new ArrayList<>();
    for (PyValue value : perChannel(parent, name, channels)) {
      texts.add(text(value, name));
    }
    return texts;
  }

  PyValue require(PyValue.Dict dict, String key) throws InvalidFileException {
    return dict.get(key).orElseThrow(() -> missing(key));
  }

  InvalidFileException missing(String key) {
    return new InvalidFileException(path, "not a %s: it has no %s".formatted(wanted, key));
  }

  InvalidFileException invalid(String key, String found, String expected) {
    return new InvalidFileException(
        path, "not a %s: %s is %s, expected %s".formatted(wanted, key, found, expected));
  }
}
