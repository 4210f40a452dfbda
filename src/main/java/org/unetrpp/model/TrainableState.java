package org.unetrpp.model;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;
import org.unetrpp.backend.Backend;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.MemoryScope;
import org.unetrpp.model.StateEntry.Role;
import org.unetrpp.nn.Parameters;
import org.unetrpp.tensor.Shape;

/**
 * A network's parameters in one run of memory, their gradients at the same places of another, and
 * the running statistics in a third. All live until {@link #close}, which must come in the order of
 * memory scopes.
 */
public final class TrainableState implements AutoCloseable {
  /** Tensors begin at multiples of this many elements. */
  private static final int ALIGNMENT = 64;

  private final MemoryScope scope;
  private final Buffer values;
  private final Buffer gradientValues;
  private final Buffer statistics;
  private final Parameters parameters;
  private final Parameters gradients;

  /**
   * State with values from {@code source}, which is asked for every entry of the layout that is no
   * alias and no counter.
   */
  @SuppressWarnings("MustBeClosedChecker") // close closes it
  public TrainableState(
      Backend backend, Architecture architecture, Function<StateEntry, float[]> source) {
    scope = backend.scopes().open();
    Map<String, Long> places = new LinkedHashMap<>();
    long trained = place(architecture, Role.PARAMETER, places);
    long measured = place(architecture, Role.STATISTIC, places);
    DType type = backend.parameterType();
    values = cleared(backend, type, trained);
    gradientValues = cleared(backend, type, trained);
    statistics = cleared(backend, type, measured);
    parameters = new Parameters(backend);
    gradients = new Parameters(backend);
    for (StateEntry entry : StateLayout.of(architecture)) {
      String name = entry.name();
      if (entry.aliasOf() != null) {
        parameters.alias(name, entry.aliasOf());
        gradients.alias(name, entry.aliasOf());
      } else if (entry.role() != Role.COUNTER) {
        boolean isTrained = entry.role() == Role.PARAMETER;
        long place = places.getOrDefault(name, 0L);
        Buffer view = (isTrained ? values : statistics).slice(place, entry.elements());
        backend.upload(source.apply(entry), view);
        Shape shape = Shape.of(entry.shape().stream().mapToInt(Integer::intValue).toArray());
        parameters.addView(name, shape, view);
        gradients.addView(
            name, shape, isTrained ? gradientValues.slice(place, entry.elements()) : view);
      }
    }
  }

  private static Buffer cleared(Backend backend, DType type, long elements) {
    Buffer buffer = backend.scopes().allocate(type, elements);
    backend.training().clear(buffer);
    return buffer;
  }

  /** Gives each tensor of a role its place; returns the elements that all take. */
  private static long place(Architecture architecture, Role role, Map<String, Long> places) {
    long end = 0;
    for (StateEntry entry : StateLayout.of(architecture)) {
      if (entry.role() == role && entry.aliasOf() == null) {
        places.put(entry.name(), end);
        end += Math.ceilDiv(entry.elements(), ALIGNMENT) * ALIGNMENT;
      }
    }
    return end;
  }

  /** The tensors by name, statistics included. */
  public Parameters parameters() {
    return parameters;
  }

  /** The gradients by name; under the names of statistics, the statistics. */
  public Parameters gradients() {
    return gradients;
  }

  /** All parameters in one. */
  public Buffer values() {
    return values;
  }

  /** All gradients in one. */
  public Buffer gradientValues() {
    return gradientValues;
  }

  /** All running statistics in one. */
  public Buffer statistics() {
    return statistics;
  }

  @Override
  public void close() {
    gradients.close();
    parameters.close();
    scope.close();
  }
}
