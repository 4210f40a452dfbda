package org.unetrpp.planning;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.dataset.Fingerprint;

/**
 * Reads what the published planner wrote. Those who can are found as services of this type. All
 * throw {@link org.unetrpp.files.InvalidFileException} for a file that is damaged or holds
 * something else.
 */
public interface PlanImport {
  /**
   * A plan, {@code plans.pkl} or what lies beside a checkpoint.
   *
   * @param properties the fingerprint's file, for intensities that the plan lacks
   */
  ImportedPlan plan(Path plans, @Nullable Path properties) throws IOException;

  /** The divisions of a {@code splits_final.pkl} or {@code splits_final.json}. */
  List<Fold> splits(Path path) throws IOException;

  /** The fingerprint of a {@code dataset_properties.pkl}. */
  Fingerprint properties(Path path) throws IOException;
}
