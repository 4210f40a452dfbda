package org.unetrpp.bench.peers;

import com.google.gson.Gson;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * The process of one contestant. It opens it, then obeys the commands {@link #PASS}, {@link
 * #COMPARE} and {@link #CLOSE} of its standard input, one a line, and answers each with a {@link
 * Reply} on its standard output.
 */
final class Worker {
  static final String PASS = "pass";
  static final String COMPARE = "compare";
  static final String CLOSE = "close";

  /** Start of the lines that are replies; native libraries print others. */
  static final String REPLY = "reply ";

  private static final double NANOS = 1e-9;

  private final PrintStream replies;
  private final Gson gson = new Gson();

  private Worker(PrintStream replies) {
    this.replies = replies;
  }

  /** Arguments: contestant, what it shall do, variant, folder of the exports, threads. */
  public static void main(String[] arguments) throws IOException {
    PrintStream replies = System.out;
    System.setOut(System.err); // what a library prints must not mix with the replies
    Setup setup =
        new Setup(
            What.of(arguments[1]).getFirst(),
            arguments[2],
            Path.of(arguments[3]),
            Integer.parseInt(arguments[4]));
    new Worker(replies).serve(ContestantKind.of(arguments[0]), setup);
  }

  private void serve(ContestantKind kind, Setup setup) throws IOException {
    BufferedReader commands =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try (Contestant contestant = kind.open(setup)) {
      reply(new Reply.Opened(contestant.version(), ProcFiles.peakResidentBytes()));
      ProcFiles.resetPeakResident();
      for (String command = commands.readLine(); command != null; command = commands.readLine()) {
        switch (command) {
          case PASS -> reply(pass(contestant));
          case COMPARE -> reply(new Reply.Compared(contestant.deviation()));
          case CLOSE -> {
            reply(new Reply.Closed(ProcFiles.peakResidentBytes()));
            return;
          }
          default ->
              throw new IllegalArgumentException(
                  "command is %s, expected %s, %s or %s".formatted(command, PASS, COMPARE, CLOSE));
        }
      }
    }
  }

  private static Reply.Passed pass(Contestant contestant) {
    long start = System.nanoTime();
    contestant.pass();
    return new Reply.Passed((System.nanoTime() - start) * NANOS);
  }

  private void reply(Reply reply) {
    replies.println(REPLY + gson.toJson(reply));
    replies.flush();
  }
}
