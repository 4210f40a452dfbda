package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ChoiceTableTest {
  private final List<String> log = new ArrayList<>();
  @TempDir private Path folder;

  private Path cache() {
    return folder.resolve("cache");
  }

  private Path file() {
    return cache().resolve("table.json");
  }

  private ChoiceTable table() {
    return ChoiceTable.of(file(), log::add);
  }

  private static void choose(ChoiceTable table, String key, String provider) {
    table.choose(key, provider, Map.of("own", 0.5, "cudnn", 0.25), Map.of());
  }

  @Test
  void whatIsChosenIsReadAgain() throws IOException {
    ChoiceTable table = table();
    choose(table, "a", "cudnn");
    table.choose("b", "own", Map.of(), Map.of("cudnn", "differs by <1>"));
    table.chooseAlgorithm("a", 3);
    ChoiceTable again = table();
    assertThat(again.provider("a")).isEqualTo("cudnn");
    assertThat(again.provider("b")).isEqualTo("own");
    assertThat(again.provider("c")).isNull();
    assertThat(again.algorithm("a")).hasValue(3);
    assertThat(again.algorithm("b")).isEmpty();
    assertThat(Files.readString(file())).contains("differs by <1>").contains("0.25");
    assertThat(log).isEmpty();
  }

  @Test
  void nothingIsLeftBesideTheFile() {
    choose(table(), "a", "cudnn");
    assertThat(cache().toFile().list()).containsExactly("table.json");
  }

  @ParameterizedTest(name = "file of <{0}>")
  @ValueSource(
      strings = {
        "",
        "{",
        "null",
        "[]",
        "{}",
        "{\"format\": 2, \"choices\": {}, \"algorithms\": {}}",
        "{\"format\": \"x\", \"choices\": {}, \"algorithms\": {}}",
        "{\"format\": 1, \"algorithms\": {}}",
        "{\"format\": 1, \"choices\": [], \"algorithms\": {}}",
        "{\"format\": 1, \"choices\": {\"a\": 1}, \"algorithms\": {}}",
        "{\"format\": 1, \"choices\": {\"a\": {}}, \"algorithms\": {}}",
        "{\"format\": 1, \"choices\": {\"a\": {\"provider\": {}}}, \"algorithms\": {}}",
        "{\"format\": 1, \"choices\": {}, \"algorithms\": {\"a\": []}}",
        "{\"format\": 1, \"choices\": {}, \"algorithms\": {\"a\": \"b\"}}"
      })
  void corruptFileIsIgnoredWithAMessageAndWrittenAnew(String text) throws IOException {
    Files.createDirectories(cache());
    Files.writeString(file(), text);
    ChoiceTable table = table();
    assertThat(log).hasSize(1).first().asString().contains(file().toString(), "ignored");
    assertThat(table.provider("a")).isNull();
    choose(table, "b", "cudnn");
    assertThat(log).hasSize(1);
    assertThat(table().provider("b")).isEqualTo("cudnn");
    assertThat(log).hasSize(1);
  }

  @Test
  void fileThatIsNoTextIsIgnored() throws IOException {
    Files.createDirectories(cache());
    Files.write(file(), new byte[] {(byte) 0xFF, (byte) 0xFE, 0});
    choose(table(), "b", "cudnn");
    assertThat(log).hasSize(1);
    assertThat(table().provider("b")).isEqualTo("cudnn");
  }

  @Test
  void choicesOfAnotherProcessAreKept() {
    ChoiceTable first = table();
    ChoiceTable second = table();
    choose(first, "a", "cudnn");
    first.chooseAlgorithm("a", 1);
    choose(second, "b", "own");
    ChoiceTable both = table();
    assertThat(both.provider("a")).isEqualTo("cudnn");
    assertThat(both.algorithm("a")).hasValue(1);
    assertThat(both.provider("b")).isEqualTo("own");
  }

  @Test
  void folderThatCannotBeMadeIsSaidOnce() throws IOException {
    Files.writeString(cache(), "a file where the folder should be");
    ChoiceTable table = table();
    choose(table, "a", "cudnn");
    choose(table, "b", "cudnn");
    assertThat(table.provider("b")).isEqualTo("cudnn");
    assertThat(log).filteredOn(line -> line.contains("not kept")).hasSize(1);
  }
}
