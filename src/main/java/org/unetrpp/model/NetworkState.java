package org.unetrpp.model;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
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

  /** Gives the float32 values of entries. */
  @FunctionalInterface
  public interface Source {
    /**
     * The values of an entry, in C order.
     *
     * @param scratch memory for them, where they are not somewhere already; it is given back before
     *     the next entry
     */
    MemorySegment values(StateEntry entry, SegmentAllocator scratch);
  }

  /**
   * Parameters with values from arrays; see {@link #load(Backend, Architecture, boolean, Source)}.
   */
  public static Parameters load(
      Backend backend,
      Architecture architecture,
      boolean withSupervision,
      Function<StateEntry, float[]> source) {
    return load(
        backend,
        architecture,
        withSupervision,
        (entry, _) -> MemorySegment.ofArray(source.apply(entry)));
  }

  /**
   * Parameters with values from {@code source}, which is asked for every entry of the layout that
   * is no alias and no counter. Deep supervision heads are left out if {@code withSupervision} is
   * false.
   */
  public static Parameters load(
      Backend backend, Architecture architecture, boolean withSupervision, Source source) {
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

  private static void add(Parameters parameters, StateEntry entry, Source source) {
    if (entry.aliasOf() != null) {
      parameters.alias(entry.name(), entry.aliasOf());
      return;
    }
    int[] extents = entry.shape().stream().mapToInt(Integer::intValue).toArray();
    try (Arena scratch = Arena.ofConfined()) {
      parameters.add(entry.name(), Shape.of(extents), source.values(entry, scratch));
    }
  }

  /** Parameters with the values of {@link DeterministicTensor}, deep supervision heads included. */
  public static Parameters deterministic(Backend backend, Architecture architecture) {
    return load(
        backend,
        architecture,
        true,
        (entry, scratch) -> DeterministicTensor.ofState(entry.name(), entry.shape(), scratch));
  }
}
