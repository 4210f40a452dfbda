package org.unetrpp.benchmark;

import java.util.Collection;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.NetworkCost;
import org.unetrpp.model.NetworkCost.Mode;
import org.unetrpp.model.NetworkCost.Rounding;

/**
 * How large a network is.
 *
 * @param parameters trained values
 * @param multiplyAdds of one patch, all heads, by the published counting rules
 */
public record NetworkSize(long parameters, long multiplyAdds) {
  /** The size of a network in evaluation. */
  public static NetworkSize of(Architecture architecture) {
    return new NetworkSize(
        sum(NetworkCost.parametersByPart(architecture).values()),
        sum(
            NetworkCost.multiplyAddsByPart(architecture, Rounding.AS_PUBLISHED, Mode.EVALUATION)
                .values()));
  }

  private static long sum(Collection<Long> values) {
    return values.stream().mapToLong(Long::longValue).sum();
  }
}
