package org.unetrpp.arch;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The packages from the bottom up, each with those it may use. */
class LayeringTest {
  private static final String ROOT = "org.unetrpp.";

  private static final String LAYERS =
      """
      memory            :
      grid              :
      window            : grid
      files             :
      image             : files grid
      weights           : files grid
      backend           : window memory grid
      backend.reference : backend memory grid
      backend.cpu.machine : memory grid
      backend.cpu       : backend.cpu.machine backend memory grid
      backend.cuda.natives :
      backend.cuda.driver  : backend.cuda.natives memory files
      backend.cuda      : backend.cuda.driver backend.cuda.natives backend window memory grid files
      tensor            : backend memory
      ops               : tensor backend memory grid
      nn                : ops tensor backend memory grid
      model             : nn ops tensor backend window memory grid
      pipeline          : window image files grid
      engine            : backend.cuda.driver backend.cuda backend.cpu backend memory
      inference         : engine pipeline model nn tensor backend window memory weights image files grid
      drawing           : files
      preview           : drawing inference image files grid
      mask              : image pipeline grid
      metrics           : mask image pipeline files grid
      postprocessing    : metrics mask image pipeline files grid
      figure            : preview drawing metrics inference image grid
      report            : metrics
      augmentation      : pipeline grid
      dataset           : pipeline image weights files grid
      sampling          : dataset augmentation grid
      loss              : backend tensor memory grid
      optim             : nn tensor backend memory
      planning          : dataset augmentation inference model pipeline image files grid
      stages            : planning pipeline weights image files grid
      training          : drawing planning sampling augmentation dataset metrics loss optim inference engine pipeline model nn ops tensor backend memory weights image files grid
      recipe            : planning metrics dataset augmentation inference model pipeline image files grid
      benchmark         : training planning sampling loss engine model nn tensor backend memory grid
      cli               : recipe stages report figure drawing benchmark preview training planning sampling augmentation dataset postprocessing mask metrics loss optim inference engine pipeline model nn ops tensor backend memory weights image files grid
      convert           : cli recipe planning dataset inference pipeline model nn weights image files grid
      """;

  private static final String OUTSIDE =
      "java.. org.jspecify.. com.google.errorprone.. com.google.gson.. org.apache.commons.math3..";

  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(new DoNotIncludeTests())
          .importPackages("org.unetrpp");

  static Stream<Map.Entry<String, String>> layers() {
    Map<String, String> table = new LinkedHashMap<>();
    LAYERS
        .lines()
        .map(line -> line.split(":", -1))
        .forEach(cells -> table.put(cells[0].strip(), cells[1].strip()));
    return table.entrySet().stream();
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("layers")
  void layerUsesOnlyThoseBelow(Map.Entry<String, String> layer) {
    Stream<String> own = Stream.of(layer.getKey());
    Stream<String> below = Arrays.stream(layer.getValue().split(" ")).filter(s -> !s.isEmpty());
    Stream<String> outside = Arrays.stream(OUTSIDE.split(" "));
    Stream<String> commands =
        layer.getKey().matches("cli|convert")
            ? Stream.of("picocli..", "com.sun.management..")
            : Stream.empty();
    Stream<String> calls =
        layer.getKey().matches("backend\\.cuda(\\.\\w+)?") ? Stream.of("jcuda..") : Stream.empty();
    String[] allowed =
        Stream.of(Stream.concat(own, below).map(ROOT::concat), outside, commands, calls)
            .flatMap(names -> names)
            .toArray(String[]::new);
    classes()
        .that()
        .resideInAPackage(ROOT + layer.getKey())
        .should()
        .onlyDependOnClassesThat()
        .resideInAnyPackage(allowed)
        .check(CLASSES);
  }

  /** A server's Java may come without the desktop module, or without its native libraries. */
  @Test
  void nothingNeedsADesktop() {
    noClasses()
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("java.awt..", "javax.imageio..", "javax.swing..")
        .check(CLASSES);
  }

  @Test
  void everyPackageIsInTheTable() {
    assertThat(CLASSES.stream().map(JavaClass::getPackageName).distinct())
        .allMatch(name ->
            layers().anyMatch(layer -> name.equals(ROOT + layer.getKey()))
                || name.matches(ROOT + "bench(\\..+)?"));
  }
}
