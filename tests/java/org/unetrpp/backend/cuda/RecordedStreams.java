package org.unetrpp.backend.cuda;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import org.unetrpp.backend.cuda.driver.CudaDriver.Event;
import org.unetrpp.backend.cuda.driver.CudaDriver.Stream;
import org.unetrpp.backend.cuda.driver.CudaException;

/**
 * What streams were given while one of them was recorded. It can be put in one order that a device
 * may run it in: work of other streams as late as something waits for it.
 */
final class RecordedStreams {
  private final Stream main;
  private final IdentityHashMap<Stream, List<Step>> streams = new IdentityHashMap<>();
  private final IdentityHashMap<Event, Point> reached = new IdentityHashMap<>();

  private sealed interface Step {}

  private record Work(Runnable work) implements Step {}

  /** The first so many steps of a stream; a step waits for them. */
  private record Point(Stream stream, int steps) implements Step {}

  RecordedStreams(Stream main) {
    this.main = main;
    streams.put(main, new ArrayList<>());
  }

  void add(Stream stream, Runnable work) {
    steps(stream).add(new Work(work));
  }

  void record(Event event, Stream stream) {
    reached.put(event, new Point(stream, steps(stream).size()));
  }

  void await(Event event, Stream stream) {
    Point point = reached.get(event);
    if (point == null) {
      throw new CudaException("cuStreamWaitEvent: the event was not recorded in this recording");
    }
    streams.computeIfAbsent(stream, _ -> new ArrayList<>()).add(point);
  }

  private List<Step> steps(Stream stream) {
    List<Step> steps = streams.get(stream);
    if (steps == null) {
      throw new CudaException("the stream is no part of the recording");
    }
    return steps;
  }

  /** All work, in order. */
  List<Runnable> inOrder() {
    List<Runnable> ordered = new ArrayList<>();
    IdentityHashMap<Stream, Integer> done = new IdentityHashMap<>();
    add(new Point(main, steps(main).size()), done, ordered);
    streams.forEach((stream, steps) -> {
      if (done.getOrDefault(stream, 0) < steps.size()) {
        throw new CudaException("cuStreamEndCapture: work of another stream is not joined");
      }
    });
    return ordered;
  }

  private void add(Point until, IdentityHashMap<Stream, Integer> done, List<Runnable> ordered) {
    List<Step> steps = steps(until.stream());
    for (int i = done.getOrDefault(until.stream(), 0); i < until.steps(); i++) {
      done.put(until.stream(), i + 1);
      switch (steps.get(i)) {
        case Work(Runnable work) -> ordered.add(work);
        case Point point -> add(point, done, ordered);
      }
    }
  }
}
