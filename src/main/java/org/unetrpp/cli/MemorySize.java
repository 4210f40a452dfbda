package org.unetrpp.cli;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Sizes of memory as people write them. */
final class MemorySize {
  private static final Pattern FORM = Pattern.compile("(\\d+(?:\\.\\d+)?)([kmgt]?)(?:i?b)?");

  private static final String[] UNITS = {"bytes", "KiB", "MiB", "GiB", "TiB"};

  private MemorySize() {}

  /** A size for people, such as {@code 1.5 GiB}. */
  static String text(long bytes) {
    int unit = 0;
    double size = bytes;
    while (size >= 1024 && unit < UNITS.length - 1) {
      size /= 1024;
      unit++;
    }
    return String.format(Locale.ROOT, unit == 0 ? "%.0f %s" : "%.1f %s", size, UNITS[unit]);
  }

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
