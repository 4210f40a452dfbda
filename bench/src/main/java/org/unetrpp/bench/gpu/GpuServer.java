package org.unetrpp.bench.gpu;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.Reader;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.unetrpp.engine.Device;
import org.unetrpp.engine.Engine;

/// The engine on one device, at the other end of a pipe: a JSON object in a line asks, one in a
/// line answers. An answer has `error` where something failed; the server goes on.
///
/// | `command` | does | of |
/// | --- | --- | --- |
/// | `HELLO` | tells what there is to compute on | |
/// | `LOAD` | a network with weights and inputs, as `name` | `task` (`forward`, `training`), `variant`, `patch` of a tiny network, `shallow` for one as wide as published, `batch`, `precision`, `own` for no kernels but the engine's |
/// | `CHECK` | tells results to hold against others' | `name`, `file` for logits, `plan` |
/// | `RUN` | times it again and again | `name`, `mode` (`stream`, `plan`), `least`, `seconds`, `most` |
/// | `LAYERS` | tells what each kernel takes | `name`, `passes` |
/// | `MEM` | tells the memory in use | `name` |
/// | `VOLUME` | segments a whole volume | `variant`, `patch`, `extents`, `mirroring`, `precision`, `seconds` |
/// | `FREE` | gives a network's device back | `name` |
/// | `QUIT` | ends the server | |
public final class GpuServer implements AutoCloseable {
  private final Device device;
  private final Map<String, Session> sessions = new HashMap<>();

  /** A server of a device, which each network opens for itself. */
  public GpuServer(Device device) {
    this.device = device;
  }

  /** Serves standard input and output; the argument is the device, such as {@code cuda:0}. */
  public static void main(String[] arguments) throws IOException {
    PrintStream replies = System.out;
    System.setOut(System.err); // what anything else prints must not get between the replies
    try (GpuServer server = new GpuServer(Device.of(arguments[0]))) {
      server.serve(new InputStreamReader(System.in, StandardCharsets.UTF_8), replies);
    }
  }

  /** Answers until the requests end or {@code QUIT}. */
  public void serve(Reader requests, PrintStream replies) throws IOException {
    BufferedReader lines = new BufferedReader(requests);
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      Request request = Request.parse(line);
      boolean quits = request.text("command", "").equals("QUIT");
      long start = System.nanoTime();
      JsonObject reply = quits ? new JsonObject() : answer(request);
      reply.addProperty("took_seconds", (System.nanoTime() - start) * 1e-9);
      replies.println(reply);
      replies.flush();
      if (quits) {
        return;
      }
    }
  }

  private JsonObject answer(Request request) {
    try {
      return switch (request.text("command")) {
        case "HELLO" -> hello();
        case "LOAD" -> load(request);
        case "CHECK" -> session(request).check(request);
        case "RUN" -> {
          Session session = session(request);
          yield Stopwatch.run(
              session.device(),
              session.work(request.text("mode", "stream")),
              request.number("least", 1),
              request.real("seconds", 0),
              request.number("most", Integer.MAX_VALUE));
        }
        case "LAYERS" -> {
          Session session = session(request);
          int passes = request.number("passes", 5);
          yield Stopwatch.kernels(session.device(), session.work("stream"), passes);
        }
        case "MEM" -> memory(session(request).device());
        case "VOLUME" -> WholeVolume.segment(request, device);
        case "FREE" -> free(request);
        default -> throw new IllegalArgumentException("command is " + request.text("command"));
      };
    } catch (IOException | RuntimeException | LinkageError | OutOfMemoryError e) {
      StringWriter trace = new StringWriter();
      e.printStackTrace(new PrintWriter(trace));
      JsonObject reply = new JsonObject();
      reply.addProperty("error", e.toString());
      reply.addProperty("trace", trace.toString());
      return reply;
    }
  }

  private JsonObject hello() {
    JsonArray report = new JsonArray();
    Engine.report().forEach(report::add);
    JsonObject reply = new JsonObject();
    reply.add("devices", report);
    reply.addProperty("java", Runtime.version().toString());
    reply.addProperty("processors", Engine.defaultThreads());
    return reply;
  }

  @SuppressWarnings("MustBeClosedChecker") // FREE and close close them
  private JsonObject load(Request request) {
    String name = request.text("name");
    if (sessions.containsKey(name)) {
      throw new IllegalArgumentException("two networks are named " + name);
    }
    OpenDevice opened = OpenDevice.open(device, request.precision(), request::providers);
    try {
      int batch = request.number("batch", 1);
      sessions.put(
          name,
          switch (request.text("task")) {
            case "forward" -> new ForwardSession(opened, request.architecture(), batch);
            case "training" -> new TrainingSession(opened, request.architecture(), batch);
            default -> throw new IllegalArgumentException("task is " + request.text("task"));
          });
    } catch (RuntimeException e) {
      opened.close();
      throw e;
    }
    return memory(opened);
  }

  private Session session(Request request) {
    @Nullable Session session = sessions.get(request.text("name"));
    if (session == null) {
      throw new IllegalArgumentException("no network is named " + request.text("name"));
    }
    return session;
  }

  private JsonObject free(Request request) {
    session(request).close();
    sessions.remove(request.text("name"));
    return new JsonObject();
  }

  private static JsonObject memory(OpenDevice of) {
    JsonObject reply = new JsonObject();
    reply.addProperty("in_use_bytes", of.backend().allocator().bytesInUse());
    of.driver()
        .ifPresent(driver -> {
          reply.addProperty("most_bytes", driver.mostBytes());
          reply.addProperty("device_free_bytes", driver.freeBytes());
          reply.addProperty("device", driver.device().toString());
        });
    return reply;
  }

  @Override
  public void close() {
    sessions.values().forEach(Session::close);
    sessions.clear();
  }
}
