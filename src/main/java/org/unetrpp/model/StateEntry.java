package org.unetrpp.model;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * One tensor of a network's state, under its name in published checkpoints.
 *
 * @param name dotted name, such as {@code out1.conv.conv.weight}
 * @param shape extents in the order of published checkpoints; empty for a scalar
 * @param role what it is for
 * @param aliasOf the earlier entry that this one is another name of, if any
 */
public record StateEntry(String name, List<Integer> shape, Role role, @Nullable String aliasOf) {
  /** What a tensor of the state is for. */
  public enum Role {
    /** Trained. */
    PARAMETER,
    /** A running statistic of batch normalization, float32. */
    STATISTIC,
    /** A count of training steps, an int64 scalar, which inference ignores. */
    COUNTER
  }

  public StateEntry {
    shape = List.copyOf(shape);
  }

  static StateEntry parameter(String name, int... shape) {
    return new StateEntry(name, Arrays.stream(shape).boxed().toList(), Role.PARAMETER, null);
  }

  /** Number of values. */
  public long elements() {
    return shape.stream().mapToLong(Integer::longValue).reduce(1, Math::multiplyExact);
  }

  /** The shape as in messages: {@code (32, 1, 2, 4, 4)}. */
  public String shapeText() {
    return shape.stream().map(String::valueOf).collect(Collectors.joining(", ", "(", ")"));
  }
}
