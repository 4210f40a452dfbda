package org.unetrpp.recipe;

import java.util.List;
import java.util.OptionalDouble;
import org.unetrpp.metrics.Metric;

/**
 * What the authors report of their network.
 *
 * @param source where they do
 * @param figures each a mean over the validation cases
 */
public record PublishedFigures(String source, List<Figure> figures) {
  /** Stands for the mean over all structures. */
  public static final String MEAN = "mean";

  /**
   * One figure.
   *
   * @param structure its name, or {@link #MEAN}
   * @param metric what was measured
   * @param value Dice from 0 to 1; distances in the unit of the recipe's convention
   */
  public record Figure(String structure, Metric metric, double value) {}

  public PublishedFigures {
    figures = List.copyOf(figures);
  }

  /** A figure, if it is reported. */
  public OptionalDouble figure(String structure, Metric metric) {
    return figures.stream()
        .filter(figure -> figure.structure.equals(structure) && figure.metric == metric)
        .mapToDouble(Figure::value)
        .findFirst();
  }
}
