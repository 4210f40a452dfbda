package org.unetrpp.inference;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Where a model file comes from.
 *
 * @param producer the program that wrote the file, with its version
 * @param sources the files it was made from
 * @param note what a reader should know, such as which images it expects or what was assumed
 * @param attribution whose data the weights were learned from; null where the file does not say
 */
public record Provenance(
    String producer, List<Source> sources, String note, @Nullable Attribution attribution) {
  /**
   * A file that a model was made from.
   *
   * @param name without folders
   * @param sha256 of its bytes, in lower-case hexadecimal
   */
  public record Source(String name, String sha256) {}

  /**
   * What those who pass a model on owe to others.
   *
   * @param license of the weights, such as "CC-BY-SA-4.0"
   * @param trainingData the data set, and which part of it
   * @param citation the publication to cite for the data set
   */
  public record Attribution(String license, String trainingData, String citation) {}

  public Provenance {
    sources = List.copyOf(sources);
  }

  /** Of a model whose file does not say whose data it was learned from. */
  public Provenance(String producer, List<Source> sources, String note) {
    this(producer, sources, note, null);
  }
}
