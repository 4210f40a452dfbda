package org.unetrpp.testing;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntSupplier;
import org.unetrpp.cli.Main;

/**
 * What a run of the command line left behind.
 *
 * @param exitCode of the process
 * @param out lines of the output stream
 * @param err lines of the error stream
 */
public record CommandRun(int exitCode, List<String> out, List<String> err) {
  /** Runs a command line within this process; arguments are taken as text. */
  public static CommandRun of(Object... arguments) {
    String[] texts = Arrays.stream(arguments).map(Object::toString).toArray(String[]::new);
    return during(() -> Main.run(texts));
  }

  /** What a part of the command line says, and the exit code it gives. */
  public static CommandRun during(IntSupplier part) {
    PrintStream out = System.out;
    PrintStream err = System.err;
    ByteArrayOutputStream outBytes = new ByteArrayOutputStream();
    ByteArrayOutputStream errBytes = new ByteArrayOutputStream();
    System.setOut(new PrintStream(outBytes, true, StandardCharsets.UTF_8));
    System.setErr(new PrintStream(errBytes, true, StandardCharsets.UTF_8));
    try {
      int exitCode = part.getAsInt();
      return new CommandRun(exitCode, lines(outBytes), lines(errBytes));
    } finally {
      System.setOut(out);
      System.setErr(err);
    }
  }

  /** All of the error stream. */
  public String errorText() {
    return String.join("\n", err);
  }

  /** All of the output stream. */
  public String text() {
    return String.join("\n", out);
  }

  private static List<String> lines(ByteArrayOutputStream bytes) {
    return bytes.toString(StandardCharsets.UTF_8).lines().toList();
  }
}
