package org.unetrpp.cli;

import com.google.gson.JsonObject;
import java.io.PrintStream;
import java.util.List;
import java.util.Locale;

/**
 * What a command says beside its result: messages and progress, on the error stream, as text or as
 * one JSON object a line.
 */
public final class Console {
  /** How messages are written. */
  public enum Format {
    TEXT,
    JSON
  }

  private static final long REFRESH_NANOS = 100_000_000L;
  private static final long LINE_NANOS = 5_000_000_000L;
  private static final int BAR_WIDTH = 30;
  private static final String CLEAR_LINE = "\r\033[2K";

  private final PrintStream out;
  private final Format format;
  private final boolean interactive;
  private boolean barShown;
  private String stage = "";
  private long stageStart;
  private long doneAtStart;
  private long lastShown;

  Console(PrintStream out, Format format, boolean interactive) {
    this.out = out;
    this.format = format;
    this.interactive = interactive && format == Format.TEXT;
  }

  /** Something worth knowing. */
  public void info(String message) {
    info(message, List.of(), new JsonObject());
  }

  /**
   * Something worth knowing, with more about it.
   *
   * @param details lines below the message, for people
   * @param fields beside the message, for programs
   */
  public void info(String message, List<String> details, JsonObject fields) {
    String text = String.join(System.lineSeparator(), details);
    say(
        "info",
        message,
        details.isEmpty() ? message : message + System.lineSeparator() + text,
        fields);
  }

  /** Something that may surprise. */
  public void warn(String message) {
    say("warning", message, "warning: " + message, new JsonObject());
  }

  /** Why the command fails. */
  public void error(String message) {
    say("error", message, "error: " + message, new JsonObject());
  }

  /** The stack trace behind an error. */
  public synchronized void trace(Throwable cause) {
    clearBar();
    cause.printStackTrace(out);
  }

  /** How far a stage is: a bar on a terminal, a line every few seconds elsewhere. */
  public void progress(String newStage, long done, long total) {
    progress(newStage, done, total, "");
  }

  /**
   * The same for a stage that knows its pace better than the count of its units tells.
   *
   * @param details said after the count, in place of units per second and time left
   */
  public synchronized void progress(String newStage, long done, long total, String details) {
    long now = System.nanoTime();
    boolean begins = !newStage.equals(stage);
    if (begins) {
      stage = newStage;
      stageStart = now;
      doneAtStart = done;
      lastShown = now;
    }
    long interval = interactive ? REFRESH_NANOS : LINE_NANOS;
    boolean ends = done >= total;
    if (now - lastShown < interval && !(interactive && ends)) {
      return;
    }
    lastShown = now;
    double seconds = (now - stageStart) * 1e-9;
    switch (format) {
      case JSON -> progressAsJson(done, total, seconds, details);
      case TEXT -> {
        String line = progressLine(done, total, seconds, details);
        if (interactive) {
          out.print(CLEAR_LINE + line);
          out.flush();
          barShown = true;
        } else {
          out.println(line);
        }
      }
    }
  }

  /** Takes a progress bar off the terminal. */
  public synchronized void clearBar() {
    if (barShown) {
      out.print(CLEAR_LINE);
      out.flush();
      barShown = false;
    }
  }

  private String progressLine(long done, long total, double seconds, String details) {
    double fraction = total == 0 ? 1 : (double) done / total;
    String counts = "%s %d/%d".formatted(stage, done, total);
    if (!details.isEmpty()) {
      counts += ", " + details;
    } else if (seconds > 0 && done > doneAtStart) { // the first unit is told when it is done
      double rate = (done - doneAtStart) / seconds;
      counts +=
          String.format(Locale.ROOT, ", %.2f/s, %s left", rate, duration((total - done) / rate));
    }
    if (!interactive) {
      return counts;
    }
    int filled = (int) Math.round(fraction * BAR_WIDTH);
    return "[" + "#".repeat(filled) + " ".repeat(BAR_WIDTH - filled) + "] " + counts;
  }

  /** A time for people: {@code 12 s}, {@code 3 min 05 s}, {@code 7 h 30 min}. */
  static String duration(double seconds) {
    long whole = Math.round(seconds);
    return whole < 60
        ? whole + " s"
        : whole < 3600
            ? String.format(Locale.ROOT, "%d min %02d s", whole / 60, whole % 60)
            : String.format(Locale.ROOT, "%d h %02d min", whole / 3600, whole % 3600 / 60);
  }

  private void progressAsJson(long done, long total, double seconds, String details) {
    JsonObject object = new JsonObject();
    object.addProperty("level", "progress");
    object.addProperty("stage", stage);
    object.addProperty("done", done);
    object.addProperty("total", total);
    object.addProperty("seconds", seconds);
    if (!details.isEmpty()) {
      object.addProperty("details", details);
    }
    out.println(object);
  }

  private synchronized void say(String level, String message, String text, JsonObject fields) {
    clearBar();
    if (format == Format.TEXT) {
      out.println(text);
      return;
    }
    JsonObject object = new JsonObject();
    object.addProperty("level", level);
    object.addProperty("message", message);
    fields.entrySet().forEach(field -> object.add(field.getKey(), field.getValue()));
    out.println(object);
  }
}
