package org.unetrpp.bench.peers;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * How contestants' processes are started.
 *
 * @param jvmOptions of every process with a JVM
 * @param engineOptions options of the JVMs of this project's contestants beside those
 * @param python the Python of those who live in one
 * @param pythonWorker what it runs
 */
record Launch(
    List<String> jvmOptions, List<String> engineOptions, String python, Path pythonWorker) {
  Launch {
    jvmOptions = List.copyOf(jvmOptions);
    engineOptions = List.copyOf(engineOptions);
  }

  /** Options of the JVM of one contestant beside those that all have. */
  List<String> jvmOptionsOf(ContestantKind kind) {
    List<String> options = new ArrayList<>(kind.jvmOptions());
    if (kind.isEngine()) {
      options.addAll(engineOptions);
    }
    return options;
  }

  /** What sets the process of a contestant apart: environment, then options. */
  List<String> settings(ContestantKind kind) {
    Stream<String> environment =
        new TreeMap<>(kind.environment())
            .entrySet().stream().map(entry -> entry.getKey() + "=" + entry.getValue());
    return Stream.concat(environment, jvmOptionsOf(kind).stream()).toList();
  }
}
