package org.unetrpp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonParser;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class ConsoleTest {
  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private final PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);

  @Test
  void quickStagesAreNotToldOutsideOfATerminal() {
    Console console = new Console(out, Console.Format.TEXT, false);
    console.progress("predicting", 1, 2);
    console.progress("predicting", 2, 2);
    console.warn("odd");
    assertThat(text()).isEqualTo("warning: odd" + System.lineSeparator());
  }

  @Test
  void barOnATerminalEndsFullAndMakesRoomForMessages() {
    Console console = new Console(out, Console.Format.TEXT, true);
    console.progress("predicting", 1, 2);
    console.progress("predicting", 2, 2);
    console.info("done");
    assertThat(text())
        .startsWith("\r\033[2K[" + "#".repeat(30) + "] predicting 2/2")
        .endsWith("\r\033[2Kdone" + System.lineSeparator());
  }

  @Test
  void jsonIsNeverDrawnOver() {
    Console console = new Console(out, Console.Format.JSON, true);
    console.progress("predicting", 1, 2);
    console.error("quoted \"text\"\nand a second line");
    assertThat(text().lines()).hasSize(1);
    assertThat(JsonParser.parseString(text()).getAsJsonObject().get("message").getAsString())
        .isEqualTo("quoted \"text\"\nand a second line");
  }

  @Test
  void detailsStandInPlaceOfThePace() {
    Console console = new Console(out, Console.Format.TEXT, true);
    console.progress("epoch 1/9", 250, 250, "loss 0.4, 2 s/step");
    assertThat(text()).endsWith("] epoch 1/9 250/250, loss 0.4, 2 s/step");
  }

  private String text() {
    return bytes.toString(StandardCharsets.UTF_8);
  }
}
