package org.unetrpp.cli;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.metrics.Structure;

/** Structures as people write them. */
final class StructureText {
  private static final Pattern CLASS = Pattern.compile("\\s*(\\d{1,3})\\s*=\\s*(.*?)\\s*");
  private static final Pattern LABEL =
      Pattern.compile("(?<class>.*?)(?:\\s*:\\s*(?<color>#[0-9a-fA-F]{6}))?\\s*");
  private static final Pattern REGION =
      Pattern.compile("\\s*(.*?)\\s*=\\s*(\\d{1,3}(?:\\s*\\+\\s*\\d{1,3})*)\\s*");

  private StructureText() {}

  /**
   * Classes such as {@code 1=anterior,2=posterior}.
   *
   * @throws IllegalArgumentException if the text is of another form
   */
  static List<Structure> classes(String text) {
    List<Structure> structures = new ArrayList<>();
    for (String part : text.split(",", -1)) {
      Matcher matcher = CLASS.matcher(part);
      if (!matcher.matches()) {
        throw new IllegalArgumentException(
            "class '" + part + "', expected LABEL=NAME, such as 1=liver,2=spleen");
      }
      structures.add(Structure.of(matcher.group(2), Integer.parseInt(matcher.group(1))));
    }
    return structures;
  }

  /**
   * Labels in colors such as {@code 1=liver:#aa3300,2=spleen}; those without one get one of their
   * own.
   *
   * @throws IllegalArgumentException if the text is of another form, or two are alike
   */
  static List<LabelClass> labels(String text) {
    List<LabelClass> labels = new ArrayList<>();
    Set<Integer> values = new HashSet<>();
    Set<String> names = new HashSet<>();
    for (String part : text.split(",", -1)) {
      Matcher matcher = LABEL.matcher(part);
      if (!matcher.matches()) {
        throw new IllegalArgumentException("label '" + part + "' spans several lines");
      }
      Structure structure = classes(matcher.group("class")).getFirst();
      int value = structure.labels().first();
      if (!values.add(value) || !names.add(structure.name())) {
        throw new IllegalArgumentException(
            "label '%s', expected another number and name than before".formatted(part.strip()));
      }
      LabelClass label = LabelClass.of(value, structure.name());
      String color = matcher.group("color");
      labels.add(color == null ? label : new LabelClass(value, structure.name(), color));
    }
    return labels;
  }

  /**
   * Regions such as {@code WT=1+2+3,ET=3}.
   *
   * @throws IllegalArgumentException if the text is of another form
   */
  static List<Structure> regions(String text) {
    List<Structure> structures = new ArrayList<>();
    for (String part : text.split(",", -1)) {
      Matcher matcher = REGION.matcher(part);
      if (!matcher.matches()) {
        throw new IllegalArgumentException(
            "region '" + part + "', expected NAME=LABEL+LABEL, such as WT=1+2+3,ET=3");
      }
      List<Integer> labels =
          Stream.of(matcher.group(2).split("\\+", -1))
              .map(String::strip)
              .map(Integer::valueOf)
              .toList();
      structures.add(Structure.of(matcher.group(1), labels));
    }
    return structures;
  }
}
