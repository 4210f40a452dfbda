package org.unetrpp.bench.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unetrpp.engine.Device;

/** The server of {@code bench/gpu/run} on the CPU, with the smallest networks. */
class GpuServerTest {
  private static final int LOGITS = 14 * 16 * 64 * 64;

  private static List<JsonObject> ask(String... requests) throws IOException {
    ByteArrayOutputStream replies = new ByteArrayOutputStream();
    try (GpuServer server = new GpuServer(new Device.Cpu());
        PrintStream printed = new PrintStream(replies, true, StandardCharsets.UTF_8)) {
      server.serve(new StringReader(String.join("\n", requests)), printed);
    }
    return replies
        .toString(StandardCharsets.UTF_8)
        .lines()
        .map(line -> JsonParser.parseString(line).getAsJsonObject())
        .toList();
  }

  private static String load(String task) {
    return """
    {"command":"LOAD","name":"n","task":"%s","variant":"synapse","patch":[16,64,64]}\
    """
        .formatted(task);
  }

  @Test
  void checksAndTimesAForwardPass(@TempDir Path folder) throws IOException {
    Path logits = folder.resolve("logits");
    List<JsonObject> replies =
        ask(
            load("forward"),
            "{\"command\":\"CHECK\",\"name\":\"n\",\"file\":\"%s\"}".formatted(logits),
            "{\"command\":\"RUN\",\"name\":\"n\",\"least\":2,\"seconds\":0,\"most\":9}",
            "{\"command\":\"FREE\",\"name\":\"n\"}");
    assertThat(replies).hasSize(4).noneMatch(reply -> reply.has("error"));
    assertThat(Files.size(logits)).isEqualTo(LOGITS * (long) Float.BYTES);
    var digests = replies.get(1).getAsJsonArray("stream_sha256");
    assertThat(digests.get(0)).isEqualTo(digests.get(1));
    assertThat(replies.get(2).getAsJsonArray("wall_ms")).hasSize(2);
  }

  @Test
  void checksATrainingStep() throws IOException {
    List<JsonObject> replies = ask(load("training"), "{\"command\":\"CHECK\",\"name\":\"n\"}");
    JsonObject check = replies.get(1);
    var losses = check.getAsJsonArray("losses");
    assertThat(losses).hasSize(3);
    assertThat(losses.get(2).getAsDouble()).isLessThan(losses.get(0).getAsDouble());
    var digests = check.getAsJsonArray("stream_sha256");
    assertThat(digests.get(0)).isEqualTo(digests.get(1));
  }

  @Test
  void segmentsAVolumeOrSaysHowFarItCame() throws IOException {
    String volume =
        """
        {"command":"VOLUME","variant":"acdc","patch":[8,32,32],"extents":[12,40,40],"seconds":%s}\
        """;
    List<JsonObject> replies = ask(volume.formatted("60"), volume.formatted("0"));
    assertThat(replies.get(0).get("windows").getAsInt()).isEqualTo(8);
    assertThat(replies.get(0).get("seconds").getAsDouble()).isPositive();
    assertThat(replies.get(1).has("cancelled")).isTrue();
  }

  @Test
  void goesOnAfterWhatItCannotDoUntilItShallQuit() throws IOException {
    List<JsonObject> replies =
        ask(
            "{\"command\":\"RUN\",\"name\":\"nothing\"}",
            "{\"command\":\"SING\"}",
            load("forward"),
            "{\"command\":\"RUN\",\"name\":\"n\",\"mode\":\"song\"}",
            "{\"command\":\"HELLO\"}",
            "{\"command\":\"QUIT\"}",
            "{\"command\":\"HELLO\"}");
    assertThat(replies)
        .extracting(reply -> reply.has("error"))
        .containsExactly(true, true, false, true, false, false);
    assertThat(replies.get(0).get("error").getAsString()).contains("no network is named nothing");
    assertThat(replies.get(3).get("error").getAsString()).contains("mode is song");
  }
}
