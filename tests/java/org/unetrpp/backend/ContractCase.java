package org.unetrpp.backend;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.unetrpp.backend.reference.ReferenceBackend;
import org.unetrpp.memory.DType;

/**
 * A primitive, or a few that belong together, on values of its own: what any backend makes of them
 * is held against the reference.
 *
 * @param name of the primitive and of what is special about the values
 */
record ContractCase(String name, Body body) {
  /** Calls the primitives and hands over their results. */
  @FunctionalInterface
  interface Body {
    void run(Backend backend, Values values);
  }

  /**
   * Runs the case twice on {@code backend} and once on the reference. The results must be those of
   * the reference within the tolerance of their type, and the same bytes both times.
   */
  void requireEqualToReference(Backend backend) {
    boolean coarse = backend.computeType() == DType.BFLOAT16;
    List<Values.Result> actual = results(backend, coarse);
    List<Values.Result> again = results(backend, coarse);
    List<Values.Result> expected;
    try (Backend reference = new ReferenceBackend()) {
      expected = results(reference, coarse);
    }
    List<String> failures = new ArrayList<>();
    assertThat(actual).isNotEmpty().hasSameSizeAs(expected);
    for (int i = 0; i < expected.size(); i++) {
      actual.get(i).compare(expected.get(i), failures);
      assertThat(again.get(i).values())
          .as("%s, run again", actual.get(i).what())
          .isEqualTo(actual.get(i).values());
    }
    assertThat(failures).isEmpty();
    assertThat(backend.allocator().bytesInUse()).as("bytes in use afterwards").isZero();
  }

  private List<Values.Result> results(Backend backend, boolean coarse) {
    try (var _ = backend.scopes().open()) {
      Values values = new Values(backend, coarse);
      body.run(backend, values);
      backend.synchronize();
      values.requireNothingWrittenOutside();
      return values.results();
    }
  }

  @Override
  public String toString() {
    return name;
  }
}
