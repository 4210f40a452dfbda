package org.unetrpp.model;

import java.util.function.Function;
import org.unetrpp.backend.Backend;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.nn.Parameters;
import org.unetrpp.tensor.Shape;

/** Fills the parameters of a network. */
public final class NetworkState {
  private static final String SUPERVISION_HEADS = "out[23]\\..*";

  private NetworkState() {}

  /** Whether a tensor belongs to a head that only training needs: {@code out2} or {@code out3}. */
  public static boolean isSupervisionHead(String name) {
    return name.matches(SUPERVISION_HEADS);
  }

  /**
   * Parameters with values from {@code source}, which is asked for every entry of the layout that
   * is no alias and no counter. Deep supervision heads are left out if {@code withSupervision} is
   * false.
   */
  public static Parameters load(
      Backend backend,
      Architecture architecture,
      boolean withSupervision,
      Function<StateEntry, float[]> source) {
    Parameters parameters = new Parameters(backend);
    try {
      for (StateEntry entry : StateLayout.of(architecture)) {
        if (!withSupervision && isSupervisionHead(entry.name())) {
          continue;
        }
        switch (entry.role()) {
          case COUNTER -> {} // counts training steps
          case PARAMETER, STATISTIC -> add(parameters, entry, source);
        }
      }
      return parameters;
    } catch (RuntimeException e) {
      parameters.close();
      throw e;
    }
  }

  private static void add(
      Parameters parameters, StateEntry entry, Function<StateEntry, float[]> source) {
    if (entry.aliasOf() != null) {
      parameters.alias(entry.name(), entry.aliasOf());
      return;
    }
    int[] extents = entry.shape().stream().mapToInt(Integer::intValue).toArray();
    parameters.add(entry.name(), Shape.of(extents), source.apply(entry));
  }

  /** Parameters with the values of {@link DeterministicTensor}, deep supervision heads included. */
  public static Parameters deterministic(Backend backend, Architecture architecture) {
    return load(
        backend,
        architecture,
        true,
        entry -> DeterministicTensor.ofState(entry.name(), entry.shape()));
  }
}
