package org.unetrpp.dataset;

import java.util.Optional;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Names of label files that differ from their image's, as in the published lists of Synapse ({@code
 * label0001} of {@code img0001}) and ACDC ({@code patient001_frame01_gt}).
 */
public final class LabelName {
  private static final Pattern NUMBERED = Pattern.compile("label(\\d+)");
  private static final Pattern TRUTH = Pattern.compile("(.+)_gt");

  private LabelName() {}

  /**
   * The case that a label file belongs to: the one of its own name, else one that published names
   * mean by it.
   *
   * @param stem of the file, without its ending
   * @param known whether there is a case of a name
   */
  public static Optional<String> caseOf(String stem, Predicate<String> known) {
    return Stream.concat(Stream.of(stem), published(stem).stream()).filter(known).findFirst();
  }

  private static Optional<String> published(String stem) {
    Matcher numbered = NUMBERED.matcher(stem);
    if (numbered.matches()) {
      return Optional.of("img" + numbered.group(1));
    }
    Matcher truth = TRUTH.matcher(stem);
    return truth.matches() ? Optional.of(truth.group(1)) : Optional.empty();
  }
}
