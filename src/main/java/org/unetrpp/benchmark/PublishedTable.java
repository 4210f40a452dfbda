package org.unetrpp.benchmark;

import com.google.gson.Gson;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Results of several methods on one data set as one source gives them; sources of the same data may
 * contradict each other.
 *
 * @param data name of the data set
 * @param variant of UNETR++ for it, as in {@link PublishedNetwork}
 * @param source where the figures stand
 * @param remarks what the source leaves open; null for nothing
 * @param results in the order of the source
 */
public record PublishedTable(
    String data, String variant, String source, @Nullable String remarks, List<Result> results) {
  /** The method that this project implements. */
  public static final String OWN_METHOD = "UNETR++";

  private static final String RESOURCE = "published.json";

  /**
   * Figures of one method; null is what the source does not give.
   *
   * @param method name of the network
   * @param parameters trained values, in millions
   * @param multiplyAdds of one patch, which the authors call FLOPs, in thousand millions
   * @param gigabytes of memory
   * @param gpuMilliseconds of one patch on a GPU
   * @param cpuMilliseconds of one patch on a CPU
   * @param dice mean over classes, in percent
   * @param hd95 mean over classes, in the source's unit
   * @param classDice in percent by class; null without
   */
  public record Result(
      String method,
      @Nullable Double parameters,
      @Nullable Double multiplyAdds,
      @Nullable Double gigabytes,
      @Nullable Double gpuMilliseconds,
      @Nullable Double cpuMilliseconds,
      @Nullable Double dice,
      @Nullable Double hd95,
      @Nullable Map<String, Double> classDice) {}

  /** All published tables. */
  public static List<PublishedTable> all() {
    try (InputStream in =
        Objects.requireNonNull(PublishedTable.class.getResourceAsStream(RESOURCE), RESOURCE)) {
      String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      return List.of(new Gson().fromJson(text, PublishedTable[].class));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** What is claimed of UNETR++ here. */
  Optional<Result> own() {
    return results.stream().filter(result -> result.method().equals(OWN_METHOD)).findFirst();
  }
}
