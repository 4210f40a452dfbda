package org.unetrpp.cli;

import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.unetrpp.recipe.PublishedRecipe;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Which published recipe to follow. */
final class RecipeOption {
  /** What the switch of that name changes; the same text wherever it is. */
  static final String CORRECTED =
      "With --recipe, correct what the published code does by mistake. Training: five folds "
          + "instead of one list of cases for all of them; augmentation slice by slice or in 3-D by "
          + "the patch that is trained, not by one that was replaced. Evaluation: distances in mm; "
          + "classes that a case lacks do not count; the tumor's mean is over WT, TC and ET alone.";

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command = CommandSpec.create();

  private @Nullable PublishedRecipe recipe;

  @Option(
      names = "--recipe",
      paramLabel = "R",
      description = "Follow a published recipe: synapse, btcv, acdc, lung or tumor.")
  void setRecipe(String name) {
    recipe =
        PublishedRecipe.named(name)
            .orElseThrow(() ->
                new ParameterException(
                    command.commandLine(),
                    "--recipe is %s, expected one of %s"
                        .formatted(name, String.join(", ", PublishedRecipe.names()))));
  }

  Optional<PublishedRecipe> recipe() {
    return Optional.ofNullable(recipe);
  }

  /**
   * Refuses options that mean nothing without a recipe.
   *
   * @throws ParameterException if one was given
   */
  void requireFor(String... options) {
    for (String option : options) {
      if (recipe == null && isGiven(option)) {
        throw new ParameterException(
            command.commandLine(), option + " has a meaning only with --recipe");
      }
    }
  }

  /**
   * Refuses options that the recipe decides.
   *
   * @throws ParameterException if one was given
   */
  void refuseBeside(String... options) {
    for (String option : options) {
      if (recipe != null && isGiven(option)) {
        throw new ParameterException(
            command.commandLine(),
            "--recipe %s decides what %s would; give one of them".formatted(recipe.name(), option));
      }
    }
  }

  private boolean isGiven(String option) {
    return command.commandLine().getParseResult().hasMatchedOption(option);
  }
}
