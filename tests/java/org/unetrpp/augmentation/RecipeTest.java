package org.unetrpp.augmentation;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;

class RecipeTest {
  private static final int COUNT = 20_000;
  private static final List<Recipe> RECIPES = recipes(AugmentationSettings.published(false));

  private static List<Recipe> recipes(AugmentationSettings settings) {
    Draws draws = new Draws(new SplittableRandom(7));
    List<Recipe> recipes = new ArrayList<>();
    for (int each = 0; each < COUNT; each++) {
      recipes.add(Recipe.draw(settings, 2, draws));
    }
    return recipes;
  }

  /** Within five standard deviations of a binomial distribution. */
  private static void assertShare(Predicate<Recipe> transform, double probability) {
    long found = RECIPES.stream().filter(transform).count();
    double deviation = Math.sqrt(COUNT * probability * (1 - probability));
    assertThat((double) found).isCloseTo(COUNT * probability, Offset.offset(5 * deviation));
  }

  private static void assertSpan(
      List<Recipe> recipes, ToDoubleFunction<Recipe> parameter, double low, double high) {
    double[] values =
        recipes.stream()
            .mapToDouble(parameter)
            .filter(value -> value != 0 && value != 1)
            .sorted()
            .toArray();
    double tenth = (high - low) / 10;
    assertThat(values[0]).isBetween(low, low + tenth);
    assertThat(values[values.length - 1]).isBetween(high - tenth, high);
  }

  @Test
  void samplesAreTransformedWithThePublishedProbabilities() {
    assertShare(recipe -> recipe.angles()[0] != 0, 0.2);
    assertShare(recipe -> recipe.scale() != 1, 0.2);
    assertShare(Recipe::isSpatial, 0.36);
    assertShare(recipe -> recipe.noise() != 0, 0.1);
    assertShare(recipe -> recipe.blur()[0] != 0 || recipe.blur()[1] != 0, 0.2 * 0.75);
    assertShare(recipe -> recipe.brightness()[0] != 1, 0.15);
    assertShare(recipe -> recipe.contrast()[0] != 1, 0.15);
    assertShare(recipe -> recipe.zoom()[0] != 1 || recipe.zoom()[1] != 1, 0.25 * 0.75);
    assertShare(recipe -> recipe.invertedGamma()[0] != 1, 0.1);
    assertShare(recipe -> recipe.gamma()[0] != 1, 0.3);
  }

  @Test
  void channelsAreTransformedWithThePublishedProbabilities() {
    assertShare(recipe -> recipe.blur()[1] != 0, 0.1);
    assertShare(recipe -> recipe.blur()[0] != 0 && recipe.blur()[1] != 0, 0.05);
    assertShare(recipe -> recipe.zoom()[1] != 1, 0.125);
    assertShare(recipe -> recipe.gamma()[0] != 1 && recipe.gamma()[1] != 1, 0.3);
  }

  @Test
  void axesAreMirroredIndependently() {
    for (int axis = 0; axis < 3; axis++) {
      int own = axis;
      assertShare(recipe -> recipe.mirrored()[own], 0.5);
      assertShare(recipe -> recipe.mirrored()[own] && recipe.mirrored()[(own + 1) % 3], 0.25);
    }
  }

  @Test
  void factorsLieOnEitherSideOfOneEquallyOften() {
    assertShare(recipe -> recipe.scale() < 1, 0.1);
    assertShare(recipe -> recipe.contrast()[0] < 1, 0.075);
    assertShare(recipe -> recipe.gamma()[1] < 1, 0.15);
    assertShare(recipe -> recipe.brightness()[0] < 1, 0.075);
  }

  @Test
  void parametersFillThePublishedRanges() {
    for (int axis = 0; axis < 3; axis++) {
      int own = axis;
      assertSpan(RECIPES, recipe -> Math.toDegrees(recipe.angles()[own]), -30, 30);
    }
    assertSpan(RECIPES, Recipe::scale, 0.7, 1.4);
    assertSpan(RECIPES, Recipe::noise, 0, 0.1);
    assertSpan(RECIPES, recipe -> recipe.blur()[0], 0.5, 1);
    assertSpan(RECIPES, recipe -> recipe.brightness()[0], 0.75, 1.25);
    assertSpan(RECIPES, recipe -> recipe.contrast()[0], 0.75, 1.25);
    assertSpan(RECIPES, recipe -> recipe.zoom()[0], 0.5, 1);
    assertSpan(RECIPES, recipe -> recipe.invertedGamma()[0], 0.7, 1.5);
    assertSpan(RECIPES, recipe -> recipe.gamma()[0], 0.7, 1.5);
  }

  @Test
  void channelsHaveParametersOfTheirOwn() {
    List<Function<Recipe, double[]>> parameters =
        List.of(
            Recipe::blur,
            Recipe::brightness,
            Recipe::contrast,
            Recipe::zoom,
            Recipe::invertedGamma,
            Recipe::gamma);
    for (Function<Recipe, double[]> parameter : parameters) {
      assertThat(RECIPES)
          .filteredOn(recipe -> {
            double[] values = parameter.apply(recipe);
            return values[0] == values[1] && values[0] != 0 && values[0] != 1;
          })
          .isEmpty();
    }
  }

  @Test
  void slicesAreOnlyTurnedInTheirPlane() {
    List<Recipe> recipes = recipes(AugmentationSettings.published(true));
    assertSpan(recipes, recipe -> Math.toDegrees(recipe.angles()[0]), -180, 180);
    assertThat(recipes)
        .allMatch(recipe -> recipe.angles()[1] == 0 && recipe.angles()[2] == 0)
        .anyMatch(recipe -> recipe.mirrored()[0]);
  }

  @Test
  void whatTheSettingsTurnOffIsLeftOut() {
    List<Recipe> recipes = recipes(new AugmentationSettings(false, 0, 30, 0, 0.7, 1.4, false));
    assertThat(recipes)
        .noneMatch(Recipe::isSpatial)
        .noneMatch(recipe -> recipe.mirrored()[0] || recipe.mirrored()[1] || recipe.mirrored()[2]);
  }
}
