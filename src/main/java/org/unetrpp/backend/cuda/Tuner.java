package org.unetrpp.backend.cuda;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.backend.cuda.driver.CudaException;

/**
 * Chooses how a kernel is launched, for each of its shapes: as an earlier run of this machine has
 * measured it, else as the tables say that came with the kernels, else, if it is to measure, the
 * quickest, else the one that is expected to be.
 *
 * <p>Measuring waits for the device, so each shape must have run once before work is recorded.
 */
final class Tuner {
  private static final int KEY_LENGTH = 8;

  private final CudaDriver driver;
  private final Map<String, String> sourceKeys = new HashMap<>(); // by file
  private final Map<Question, Record> chosen = new HashMap<>();
  private ChoiceTable shipped = ChoiceTable.inMemory();
  private ChoiceTable kept = ChoiceTable.inMemory();
  private @Nullable Stopwatch stopwatch;

  /** What a choice depends on. */
  private record Question(String file, String kernel, Record shape) {}

  Tuner(CudaDriver driver) {
    this.driver = driver;
  }

  /** Takes choices from a table from now on. */
  void follow(ChoiceTable table) {
    shipped = table;
  }

  /**
   * Measures from now on what the tables do not know.
   *
   * @param table of earlier runs, gets what is measured
   */
  void measure(Stopwatch measuring, ChoiceTable table) {
    stopwatch = measuring;
    kept = table;
  }

  /**
   * A configuration for a kernel.
   *
   * @param file of the kernel without its ending: if it changes, its choices are made anew
   * @param kernel the name that its choices are kept under
   * @param shape what the choice depends on; equal where the shape is, and says so in a line
   * @param candidates ways to launch it, all of which are right, at least one; the one first that
   *     is expected to be the quickest. Equal where they are the same, and each says what it is in
   *     a line
   * @param launch queues the kernel in one of these ways, any number of times with the same result
   * @param <C> configurations of the kernel
   */
  <C extends Record> C choose(
      String file, String kernel, Record shape, List<C> candidates, Consumer<C> launch) {
    Question question = new Question(file, kernel, shape);
    Record known = chosen.get(question);
    for (C candidate : candidates) {
      if (candidate.equals(known)) {
        return candidate;
      }
    }
    C choice =
        candidates.size() == 1 ? candidates.getFirst() : choose(question, candidates, launch);
    chosen.put(question, choice);
    return choice;
  }

  private <C extends Record> C choose(Question question, List<C> candidates, Consumer<C> launch) {
    String sourceKey = sourceKeys.computeIfAbsent(question.file, driver::sourceKey);
    String key =
        "%s %s, %s".formatted(question.kernel, sourceKey.substring(0, KEY_LENGTH), question.shape);
    C before = named(kept.provider(key), candidates);
    if (before == null) {
      before = named(shipped.provider(key), candidates);
    }
    if (before != null) {
      return before;
    }
    return stopwatch == null ? candidates.getFirst() : quickest(key, candidates, launch, stopwatch);
  }

  private static <C extends Record> @Nullable C named(@Nullable String name, List<C> candidates) {
    for (C candidate : candidates) {
      if (candidate.toString().equals(name)) {
        return candidate;
      }
    }
    return null;
  }

  private <C extends Record> C quickest(
      String key, List<C> candidates, Consumer<C> launch, Stopwatch measuring) {
    C best = candidates.getFirst();
    double least = Double.MAX_VALUE;
    Map<String, Double> millis = new LinkedHashMap<>();
    Map<String, String> problems = new LinkedHashMap<>();
    for (C candidate : candidates) {
      try {
        launch.accept(candidate);
        double taken = measuring.millis(() -> launch.accept(candidate));
        millis.put(candidate.toString(), taken);
        if (taken < least) {
          best = candidate;
          least = taken;
        }
      } catch (CudaException e) {
        problems.put(candidate.toString(), String.valueOf(e.getMessage()));
      }
    }
    kept.choose(key, best.toString(), millis, problems);
    return best;
  }
}
