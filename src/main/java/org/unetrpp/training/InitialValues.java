package org.unetrpp.training;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.Initialization;
import org.unetrpp.model.StateEntry;
import org.unetrpp.model.StateLayout;
import org.unetrpp.weights.StoredTensor;

/**
 * What a network starts with: drawn values, or those of a model wherever it has a tensor of the
 * same name and shape. A head of other classes, a stem of other channels, positions and token
 * projections of another patch are drawn.
 */
public final class InitialValues implements Function<StateEntry, float[]> {
  private final Architecture architecture;
  private final long seed;
  private final Map<String, float[]> taken;
  private final List<String> drawn;

  private InitialValues(
      Architecture architecture, long seed, Map<String, float[]> taken, List<String> drawn) {
    this.architecture = architecture;
    this.seed = seed;
    this.taken = taken;
    this.drawn = List.copyOf(drawn);
  }

  /** Drawn values only. */
  public static InitialValues drawn(Architecture architecture, long seed) {
    return new InitialValues(architecture, seed, Map.of(), List.of());
  }

  /**
   * Values of a model where they fit.
   *
   * @throws IllegalArgumentException if none fits
   */
  public static InitialValues of(ModelFile model, Architecture architecture, long seed) {
    Map<String, float[]> taken = new HashMap<>();
    List<String> drawn = new ArrayList<>();
    for (StateEntry entry : StateLayout.of(architecture)) {
      if (entry.aliasOf() != null || entry.role() == StateEntry.Role.COUNTER) {
        continue;
      }
      StoredTensor tensor = model.tensors().get(entry.name());
      if (tensor == null) {
        drawn.add(entry.name() + ": not in the model");
      } else if (!tensor.shapeText().equals(entry.shapeText())) {
        drawn.add(
            "%s: %s in the model, %s here"
                .formatted(entry.name(), tensor.shapeText(), entry.shapeText()));
      } else {
        taken.put(entry.name(), tensor.toFloats());
      }
    }
    if (taken.isEmpty()) {
      throw new IllegalArgumentException("no tensor of the model fits the network of the plan");
    }
    return new InitialValues(architecture, seed, taken, drawn);
  }

  /** Number of tensors that are those of the model. */
  public int takenCount() {
    return taken.size();
  }

  /** Tensors that the model does not give, each with the reason. */
  public List<String> drawn() {
    return drawn;
  }

  /** The values of an entry of the network's layout. */
  @Override
  public float[] apply(StateEntry entry) {
    float[] values = taken.get(entry.name());
    return values == null ? Initialization.values(architecture, entry.name(), seed) : values;
  }
}
