package org.unetrpp.bench.peers;

import com.google.gson.Gson;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;

/** A contestant in a process of its own, seen from the one that compares. */
final class WorkerProcess implements AutoCloseable {
  private final ContestantKind kind;
  private final Process process;
  private final BufferedWriter commands;
  private final BufferedReader replies;
  private final Reply.Opened opened;
  private final Gson gson = new Gson();

  private WorkerProcess(ContestantKind kind, Process process) {
    this.kind = kind;
    this.process = process;
    commands = process.outputWriter();
    replies = process.inputReader();
    opened = await(Reply.Opened.class);
  }

  /**
   * Starts the process and waits until its contestant is open.
   *
   * @param launch how its process is started
   * @throws IllegalStateException if it ends instead; its own message is on standard error
   */
  static WorkerProcess start(ContestantKind kind, Setup setup, Launch launch) {
    List<String> command = new ArrayList<>();
    if (kind.isPython()) {
      command.addAll(List.of(launch.python(), launch.pythonWorker().toString()));
    } else {
      command.add(java());
      command.addAll(launch.jvmOptions());
      command.addAll(launch.jvmOptionsOf(kind));
      command.addAll(List.of("-classpath", System.getProperty("java.class.path")));
      command.addAll(List.of(Worker.class.getName(), kind.label()));
    }
    command.addAll(
        List.of(
            setup.what().label(),
            setup.variant(),
            setup.exports().toString(),
            Integer.toString(setup.threads())));
    if (kind.isPython()) {
      command.add(Integer.toString(setup.what().batchSize(setup.variant())));
    }
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
    builder.environment().put("OMP_NUM_THREADS", Integer.toString(setup.threads()));
    builder.environment().putAll(kind.environment());
    try {
      return new WorkerProcess(kind, builder.start());
    } catch (IOException e) {
      throw new UncheckedIOException("the process of " + kind.label() + " cannot be started", e);
    }
  }

  /** The Java of this process. */
  static String java() {
    return ProcessHandle.current().info().command().orElse("java");
  }

  ContestantKind kind() {
    return kind;
  }

  long pid() {
    return process.pid();
  }

  Reply.Opened opened() {
    return opened;
  }

  /** Makes one pass and waits for its end. */
  Reply.Passed pass() {
    return ask(Worker.PASS, Reply.Passed.class);
  }

  /** Compares what it computes with what is expected. */
  Reply.Compared compare() {
    return ask(Worker.COMPARE, Reply.Compared.class);
  }

  /** Lets the contestant close and its process end. */
  Reply.Closed finish() {
    Reply.Closed closed = ask(Worker.CLOSE, Reply.Closed.class);
    try {
      int code = process.waitFor();
      if (code != 0) {
        throw new IllegalStateException(
            "the process of %s ended with %d, expected 0".formatted(kind.label(), code));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while " + kind.label() + " closes", e);
    }
    return closed;
  }

  @Override
  public void close() {
    process.destroy();
  }

  private <R extends Reply> R ask(String command, Class<R> type) {
    try {
      commands.write(command);
      commands.newLine();
      commands.flush();
    } catch (IOException e) {
      throw new UncheckedIOException("the process of " + kind.label() + " has ended", e);
    }
    return await(type);
  }

  private <R extends Reply> R await(Class<R> type) {
    try {
      for (String line = replies.readLine(); line != null; line = replies.readLine()) {
        if (line.startsWith(Worker.REPLY)) {
          return gson.fromJson(line.substring(Worker.REPLY.length()), type);
        }
        System.err.println(line);
      }
      throw new IllegalStateException("the process of " + kind.label() + " has ended");
    } catch (IOException e) {
      throw new UncheckedIOException("the process of " + kind.label() + " cannot be heard", e);
    }
  }
}
