package org.unetrpp.cli;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Sizes of memory as people write them. */
final class MemorySize {
  private static final Pattern FORM = Pattern.compile("(\\d+(?:\\.\\d+)?)([kmgt]?)(?:i?b)?");

  private MemorySize() {}

  /**
   * Bytes of a text such as {@code 4g}, {@code 900m} or {@code 1.5GiB}; units are powers of 1024.
   *
   * @throws IllegalArgumentException if the text is none, or 0
   */
  static long parse(String text) {
    Matcher matcher = FORM.matcher(text.toLowerCase(Locale.ROOT));
    if (!matcher.matches()) {
      throw new IllegalArgumentException(
          "memory size '" + text + "', expected a number and k, m, g or t, such as 4g");
    }
    int power = "kmgt".indexOf(matcher.group(2)) + 1;
    double unit = matcher.group(2).isEmpty() ? 1 : Math.pow(1024, power);
    double bytes = Double.parseDouble(matcher.group(1)) * unit;
    if (bytes < 1 || bytes > Long.MAX_VALUE) {
      throw new IllegalArgumentException("memory size '" + text + "' is out of range");
    }
    return (long) bytes;
  }
}
