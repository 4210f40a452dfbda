package org.unetrpp.inference;

import java.util.List;

/**
 * Where a model file comes from.
 *
 * @param producer the program that wrote the file, with its version
 * @param sources the files it was made from
 * @param note what a reader should know, such as what was assumed
 */
public record Provenance(String producer, List<Source> sources, String note) {
  /**
   * A file that a model was made from.
   *
   * @param name without folders
   * @param sha256 of its bytes, in lower-case hexadecimal
   */
  public record Source(String name, String sha256) {}

  public Provenance {
    sources = List.copyOf(sources);
  }
}
