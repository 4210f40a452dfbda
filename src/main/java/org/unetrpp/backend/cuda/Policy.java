package org.unetrpp.backend.cuda;

import java.util.Arrays;

/** How a provider is chosen. */
enum Policy {
  /** Own kernels always. */
  OWN,
  /** The library wherever it computes the same as own kernels. */
  LIBRARY,
  /** The quicker one. */
  MEASURED;

  /**
   * What a system property asks for: {@code own}, the name of a library, or {@code measured}, which
   * is also meant where it is not set.
   *
   * @throws IllegalArgumentException if it is none of these
   */
  static Policy of(String property, String... libraries) {
    String value = System.getProperty(property, "measured");
    if (Arrays.asList(libraries).contains(value)) {
      return LIBRARY;
    }
    return switch (value) {
      case "own" -> OWN;
      case "measured" -> MEASURED;
      default ->
          throw new IllegalArgumentException(
              "%s is '%s', expected own, %s or measured"
                  .formatted(property, value, String.join(", ", libraries)));
    };
  }

  /** Whether a system property lets a library compute: by its name, or where it is the quickest. */
  static boolean allows(String property, String library) {
    String value = System.getProperty(property, "measured");
    return value.equals(library) || value.equals("measured");
  }
}
