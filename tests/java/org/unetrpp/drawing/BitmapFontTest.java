package org.unetrpp.drawing;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class BitmapFontTest {
  private static final String CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:-_+/()%'&?";

  @Test
  void everyCharacterLooksDifferent() {
    Set<List<String>> shapes = new HashSet<>();
    for (String character : CHARACTERS.chars().mapToObj(Character::toString).toList()) {
      List<String> dots = dots(character);
      assertThat(dots).as(character).isNotEmpty();
      assertThat(shapes.add(dots)).as(character).isTrue();
    }
  }

  @Test
  void textRunsToTheRight() {
    assertThat(BitmapFont.width("A1")).isEqualTo(11);
    assertThat(BitmapFont.width("")).isZero();
    assertThat(dots(" L")).contains("6,0", "6,6", "10,6").doesNotContain("10,0").hasSize(11);
  }

  @Test
  void smallLettersAreCapitalsAndUnknownOnesQuestionMarks() {
    assertThat(dots("left")).isEqualTo(dots("LEFT"));
    assertThat(dots("\u6d77~")).isEqualTo(dots("??"));
    assertThat(dots(" ")).isEmpty();
  }

  @Test
  void longTextsEndInPoints() {
    assertThat(BitmapFont.fitting("spleen", 35)).isEqualTo("spleen");
    assertThat(BitmapFont.fitting("spleen", 34)).isEqualTo("sp...");
    assertThat(BitmapFont.width(BitmapFont.fitting("spleen", 34))).isLessThanOrEqualTo(34);
    assertThat(BitmapFont.fitting("spleen", 3)).isEqualTo("...");
  }

  private static List<String> dots(String text) {
    List<String> dots = new ArrayList<>();
    BitmapFont.forEachDot(text, (column, row) -> dots.add(column + "," + row));
    return dots;
  }
}
