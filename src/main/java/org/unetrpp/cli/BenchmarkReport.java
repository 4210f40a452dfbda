package org.unetrpp.cli;

import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.function.DoubleFunction;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import org.unetrpp.benchmark.NetworkSize;
import org.unetrpp.benchmark.PublishedNetwork;
import org.unetrpp.benchmark.PublishedNetwork.Claims;
import org.unetrpp.benchmark.Spread;
import org.unetrpp.engine.Device;
import org.unetrpp.grid.Extents;
import org.unetrpp.model.Architecture;

/** What {@code benchmark} found, beside what is published: a table, or JSON. */
final class BenchmarkReport {
  private static final double MEGA = 1e6;
  private static final double GIGA = 1e9;
  private static final double MILLI = 1e-3;
  private static final String NONE = "-";

  private final Architecture architecture;
  private final Optional<PublishedNetwork> network;
  private final JsonObject json = new JsonObject();
  private final List<List<String>> rows = new ArrayList<>();
  private String title = "";
  private String machine = "";
  private boolean onGpu;

  BenchmarkReport(Architecture architecture, Optional<PublishedNetwork> network) {
    this.architecture = architecture;
    this.network = network;
  }

  /** Says what is measured and where. */
  void measured(String name, DeviceOptions options, Device device) {
    onGpu = device instanceof Device.Cuda;
    Extents patch = architecture.patch();
    String precision = options.precision();
    title =
        "%s, %dx%dx%dx%d, %s"
            .formatted(
                name,
                architecture.inputChannels(),
                patch.depth(),
                patch.height(),
                patch.width(),
                precision);
    json.addProperty("network", name);
    json.addProperty("patch", patch.toString());
    json.addProperty("channels", architecture.inputChannels());
    json.addProperty("precision", precision);
    NetworkSize size = NetworkSize.of(architecture);
    json.addProperty("parameters", size.parameters());
    json.addProperty("multiply_adds", size.multiplyAdds());
    row(
        "parameters",
        text("%.2f M", size.parameters() / MEGA),
        claim("%.2f M", Claims::parameters));
    row(
        "multiply-adds",
        text("%.2f G", size.multiplyAdds() / GIGA),
        claim("%.2f G", Claims::multiplyAdds));
  }

  /**
   * Passes of one patch.
   *
   * @param device what computed them
   * @param first seconds of the first pass
   * @param seconds of those after it
   */
  void forward(String device, double first, Spread seconds) {
    machine = device;
    json.addProperty("device", device);
    json.addProperty("first_pass_seconds", first);
    json.add("pass_seconds", spread(seconds));
    json.addProperty("patches_per_second", 1 / seconds.median());
    row("a patch", text(seconds), time(onGpu ? Claims::gpuMilliseconds : Claims::cpuMilliseconds));
    row("patches a second", text("%.3g", 1 / seconds.median()), NONE);
    row("the first patch", text("%.3g s", first), NONE);
  }

  /** The process's largest memory after the passes. */
  void forwardMemory(OptionalLong bytes) {
    memory("memory at its peak", "peak_bytes", bytes, memoryClaim());
  }

  /** Training steps of so many patches. */
  void training(int batch, Spread seconds) {
    json.addProperty("batch_size", batch);
    json.add("step_seconds", spread(seconds));
    row("a training step of " + batch, text(seconds), NONE);
    row("patches a second in training", text("%.3g", batch / seconds.median()), NONE);
  }

  /** The process's largest memory after the training steps. */
  void trainingMemory(OptionalLong bytes) {
    memory("memory in training", "training_peak_bytes", bytes, NONE);
  }

  /** The share of the processors that other processes took meanwhile. */
  void foreignLoad(double share) {
    json.addProperty("foreign_load", share);
  }

  private void memory(String name, String key, OptionalLong bytes, String claim) {
    bytes.ifPresent(value -> json.addProperty(key, value));
    row(name, bytes.isPresent() ? MemorySize.text(bytes.getAsLong()) : "unknown here", claim);
  }

  /** All that was measured, and the claims with their source. */
  JsonObject json() {
    claims()
        .ifPresent(claims -> {
          JsonObject published = new JsonObject();
          published.addProperty("parameters", Math.round(claims.parameters() * MEGA));
          published.addProperty("multiply_adds", Math.round(claims.multiplyAdds() * GIGA));
          claims.gigabytes().ifPresent(value -> published.addProperty("gigabytes", value));
          claims
              .gpuMilliseconds()
              .ifPresent(value -> published.addProperty("gpu_pass_seconds", value * MILLI));
          claims
              .cpuMilliseconds()
              .ifPresent(value -> published.addProperty("cpu_pass_seconds", value * MILLI));
          published.addProperty("source", claims.source());
          claims.remarks().ifPresent(remarks -> published.addProperty("remarks", remarks));
          json.add("published", published);
        });
    return json;
  }

  /** A table for people. */
  String text() {
    TextTable table = new TextTable(1);
    table.add(List.of("", "here", "published"));
    rows.forEach(table::add);
    StringBuilder text = new StringBuilder();
    line(text, title);
    line(text, machine);
    text.append(System.lineSeparator()).append(table).append(System.lineSeparator());
    claims()
        .ifPresentOrElse(
            claims -> {
              line(text, "published: " + claims.source());
              claims.remarks().ifPresent(remarks -> line(text, "           " + remarks));
            },
            () -> line(text, "published: no such figures"));
    line(
        text,
        "multiply-adds by the published counting rules, all heads; times as median and range");
    return text.toString();
  }

  private static void line(StringBuilder text, String line) {
    text.append(line).append(System.lineSeparator());
  }

  private void row(String name, String here, String published) {
    rows.add(List.of(name, here, published));
  }

  private Optional<Claims> claims() {
    return network.flatMap(PublishedNetwork::claims);
  }

  private String claim(String pattern, ToDoubleFunction<Claims> figure) {
    return claims().map(claims -> text(pattern, figure.applyAsDouble(claims))).orElse(NONE);
  }

  private String time(Function<Claims, OptionalDouble> milliseconds) {
    return optional(milliseconds, value -> text("%.3g s", value * MILLI));
  }

  private String memoryClaim() {
    return optional(Claims::gigabytes, value -> text("%.1f GB", value));
  }

  private String optional(Function<Claims, OptionalDouble> figure, DoubleFunction<String> shown) {
    OptionalDouble value = claims().map(figure).orElse(OptionalDouble.empty());
    return value.isPresent() ? shown.apply(value.getAsDouble()) : NONE;
  }

  static JsonObject spread(Spread seconds) {
    JsonObject object = new JsonObject();
    object.addProperty("median", seconds.median());
    object.addProperty("smallest", seconds.smallest());
    object.addProperty("largest", seconds.largest());
    return object;
  }

  static String text(Spread seconds) {
    return text("%.3g s", seconds.median())
        + text(" (%.3g", seconds.smallest())
        + text(" to %.3g)", seconds.largest());
  }

  private static String text(String pattern, double value) {
    return String.format(Locale.ROOT, pattern, value);
  }
}
