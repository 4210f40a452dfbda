package org.unetrpp.backend.cuda;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.cuda.ComparisonKernels.Difference;
import org.unetrpp.backend.cuda.driver.CudaException;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DeviceMemoryException;

/**
 * Chooses who computes what. The first work of each shape is tried on random operands: a library
 * whose result is not that of the own kernels is dropped for the shape, and of those left the
 * quickest is taken. What a table of earlier choices knows is not tried again, so that runs compute
 * the same.
 *
 * <p>Trying waits for the device, so each shape must have run once before work is recorded.
 *
 * @param <P> who can compute
 * @param <W> shapes of what is computed
 */
final class ProviderChoice<P extends Provider, W extends Work<P>> {
  // A library computes one value wrong where it differs by more than rounding does at the most:
  // errors of single values lie far below 32 times their root mean square.
  private static final double LARGEST_IN_TOLERANCES = 32;
  private static final double GAIN = 0.97; // what is less quick by this is noise

  private final CudaContext context;
  private final Policy policy;
  private final P own;
  private final List<? extends Library<P, W>> libraries;
  private final Stopwatch stopwatch;
  private final ChoiceTable table;
  private final Consumer<String> log;
  private final ComparisonKernels comparison;
  private final RandomValues random;
  private final Map<W, P> chosen = new HashMap<>();

  /**
   * A choice.
   *
   * @param own computes everything
   * @param libraries compute some
   * @param log takes what may surprise, a line each
   */
  ProviderChoice(
      CudaContext context,
      Policy policy,
      P own,
      List<? extends Library<P, W>> libraries,
      Stopwatch stopwatch,
      ChoiceTable table,
      Consumer<String> log) {
    this.context = context;
    this.policy = policy;
    this.own = own;
    this.libraries = libraries;
    this.stopwatch = stopwatch;
    this.table = table;
    this.log = log;
    comparison = new ComparisonKernels(context);
    random = new RandomValues(context);
  }

  /** Own kernels. */
  P own() {
    return own;
  }

  /** Who is to compute this. */
  P of(W work) {
    P known = chosen.get(work);
    if (known == null) {
      known = choose(work);
      chosen.put(work, known);
    }
    return known;
  }

  private P choose(W work) {
    if (policy == Policy.OWN) {
      return own;
    }
    List<P> candidates = new ArrayList<>();
    for (Library<P, W> library : libraries) {
      if (library.refusal(work) == null) {
        candidates.add(library.provider());
      }
    }
    if (candidates.isEmpty()) {
      return own;
    }
    P before = policy == Policy.MEASURED ? chosenBefore(work, candidates) : null;
    if (before != null) {
      return before;
    }
    try (var _ = context.scopes().open()) {
      return compete(work, candidates);
    } catch (DeviceMemoryException e) {
      log.accept(
          "%s: by own kernels: no memory to try others: %s".formatted(work.key(), e.getMessage()));
      return own;
    }
  }

  private @Nullable P chosenBefore(W work, List<P> candidates) {
    String name = table.provider(work.key());
    if (own.name().equals(name)) {
      return own;
    }
    for (P candidate : candidates) {
      if (candidate.name().equals(name)) {
        return candidate;
      }
    }
    return null;
  }

  private P compete(W work, List<P> candidates) {
    Work.Trial<P> trial = work.trial(random);
    Buffer expected = trial.output();
    trial.run(own, expected);
    List<P> agreeing = new ArrayList<>();
    Map<String, String> problems = new LinkedHashMap<>();
    for (P candidate : candidates) {
      String problem = problem(work, trial, candidate, expected);
      if (problem == null) {
        agreeing.add(candidate);
      } else {
        problems.put(candidate.name(), problem);
        log.accept("%s: not by %s: %s".formatted(work.key(), candidate.name(), problem));
      }
    }
    if (policy == Policy.LIBRARY) {
      return agreeing.isEmpty() ? own : agreeing.getFirst();
    }
    return quickest(work, trial, agreeing, expected, problems);
  }

  private @Nullable String problem(W work, Work.Trial<P> trial, P candidate, Buffer expected) {
    try (var _ = context.scopes().open()) {
      Buffer actual = trial.output();
      trial.run(candidate, actual);
      Difference difference = comparison.compare(actual, expected);
      double tolerance = work.tolerance();
      // Written so that NaN is a problem.
      boolean agrees =
          difference.relative() <= tolerance
              && difference.largest() <= LARGEST_IN_TOLERANCES * tolerance;
      return agrees
          ? null
          : "differs from own kernels by %.1e, and by up to %.1e in single values; %.1e is allowed"
              .formatted(difference.relative(), difference.largest(), tolerance);
    } catch (CudaException | UnsupportedOperationException e) {
      return String.valueOf(e.getMessage());
    }
  }

  private P quickest(
      W work, Work.Trial<P> trial, List<P> agreeing, Buffer output, Map<String, String> problems) {
    P best = own;
    Map<String, Double> millis = new LinkedHashMap<>();
    if (!agreeing.isEmpty()) {
      double least = stopwatch.millis(() -> trial.run(own, output)) * GAIN;
      millis.put(own.name(), least / GAIN);
      for (P candidate : agreeing) {
        double taken = stopwatch.millis(() -> trial.run(candidate, output));
        millis.put(candidate.name(), taken);
        if (taken < least) {
          best = candidate;
          least = taken;
        }
      }
    }
    table.choose(work.key(), best.name(), millis, problems);
    return best;
  }
}
