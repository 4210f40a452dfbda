package org.unetrpp.training;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Event files, read back with a decoder of their own. */
class EventFileTest {
  @TempDir Path folder;

  @Test
  void checksumIsCastagnolisMasked() {
    byte[] digits = "123456789".getBytes(StandardCharsets.US_ASCII);
    assertThat(plainChecksum(digits)).isEqualTo(0xe3069283); // the published check value
    assertThat(EventFile.maskedChecksum(digits)).isEqualTo(mask(0xe3069283));
    // The length 24 with its checksum, as at the start of every file that TensorFlow writes.
    byte[] length = {24, 0, 0, 0, 0, 0, 0, 0};
    assertThat(EventFile.maskedChecksum(length)).isEqualTo(0x224b7fa3);
  }

  @Test
  void beginsWithTheVersionAndTheStepFromWhichItCounts() throws IOException {
    begin(251);
    List<Message> events = read(onlyFile());
    assertThat(events).hasSize(2);
    assertThat(events.get(0).text(3)).isEqualTo("brain.Event:2");
    double seconds = Double.longBitsToDouble((long) events.get(0).only(1));
    assertThat(seconds).isBetween(1.7e9, System.currentTimeMillis() * 1e-3 + 1);
    assertThat(events.get(1).only(2)).isEqualTo(251L);
    assertThat(Message.of(events.get(1).only(7)).only(1)).isEqualTo(1L); // START
  }

  @Test
  void pointsOfCurvesComeBack() throws IOException {
    SequencedMap<String, Double> values = new LinkedHashMap<>();
    values.put("epoch/dice", 0.75);
    values.put("dice/nowhere", Double.NaN);
    values.put("dice/Leber größer", -1 / 3.0);
    long step = 250L * 1000 * 1000 * 1000;
    try (EventFile file = EventFile.create(folder, 1)) {
      file.write(step, values);
    }
    Message event = read(onlyFile()).get(2);
    assertThat(event.only(2)).isEqualTo(step);
    List<Object> points = Message.of(event.only(5)).all(1);
    assertThat(points).hasSize(2);
    Message first = Message.of(points.get(0));
    assertThat(first.text(1)).isEqualTo("epoch/dice");
    assertThat(first.number(2)).isEqualTo(0.75f);
    Message second = Message.of(points.get(1));
    assertThat(second.text(1)).isEqualTo("dice/Leber größer");
    assertThat(second.number(2)).isEqualTo((float) (-1 / 3.0));
  }

  @Test
  void partsWithinOneSecondHaveFilesInTheirOrder() throws IOException {
    for (int part = 1; part <= 3; part++) {
      begin(part);
    }
    try (Stream<Path> files = Files.list(folder)) {
      List<Object> firstSteps = new ArrayList<>();
      for (Path file : files.sorted().toList()) {
        assertThat(file.getFileName().toString()).contains("tfevents");
        firstSteps.add(read(file).get(1).only(2));
      }
      assertThat(firstSteps).containsExactly(1L, 2L, 3L);
    }
  }

  private void begin(long firstStep) throws IOException {
    try (EventFile file = EventFile.create(folder, firstStep)) {
      assertThat(file).isNotNull();
    }
  }

  private Path onlyFile() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      List<Path> all = files.toList();
      assertThat(all).hasSize(1);
      return all.getFirst();
    }
  }

  private static List<Message> read(Path file) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    List<Message> events = new ArrayList<>();
    while (bytes.hasRemaining()) {
      byte[] length = new byte[8];
      bytes.get(length);
      assertThat(bytes.getInt()).isEqualTo(mask(plainChecksum(length)));
      long size = ByteBuffer.wrap(length).order(ByteOrder.LITTLE_ENDIAN).getLong();
      byte[] data = new byte[Math.toIntExact(size)];
      bytes.get(data);
      assertThat(bytes.getInt()).isEqualTo(mask(plainChecksum(data)));
      events.add(Message.of(data));
    }
    return events;
  }

  /** The fields of a message: numbers as Long or Integer, the rest as bytes. */
  private record Message(Map<Integer, List<Object>> fields) {
    static Message of(Object data) {
      ByteBuffer in = ByteBuffer.wrap((byte[]) data).order(ByteOrder.LITTLE_ENDIAN);
      Map<Integer, List<Object>> fields = new LinkedHashMap<>();
      while (in.hasRemaining()) {
        long key = varint(in);
        Object value =
            switch ((int) (key & 7)) {
              case 0 -> varint(in);
              case 1 -> in.getLong();
              case 2 -> {
                byte[] bytes = new byte[Math.toIntExact(varint(in))];
                in.get(bytes);
                yield bytes;
              }
              case 5 -> in.getInt();
              default -> throw new IllegalStateException("wire type of key " + key);
            };
        fields.computeIfAbsent((int) (key >> 3), _ -> new ArrayList<>()).add(value);
      }
      return new Message(fields);
    }

    List<Object> all(int field) {
      return fields.getOrDefault(field, List.of());
    }

    Object only(int field) {
      assertThat(all(field)).hasSize(1);
      return all(field).getFirst();
    }

    String text(int field) {
      return new String((byte[]) only(field), StandardCharsets.UTF_8);
    }

    float number(int field) {
      return Float.intBitsToFloat((int) only(field));
    }

    private static long varint(ByteBuffer in) {
      long value = 0;
      for (int shift = 0; ; shift += 7) {
        byte next = in.get();
        value |= (next & 0x7fL) << shift;
        if (next >= 0) {
          return value;
        }
      }
    }
  }

  private static int mask(int crc) {
    return ((crc >>> 15) | (crc << 17)) + 0xa282ead8;
  }

  /** CRC-32C bit by bit. */
  private static int plainChecksum(byte[] bytes) {
    int crc = -1;
    for (byte b : bytes) {
      crc ^= b & 0xff;
      for (int bit = 0; bit < 8; bit++) {
        crc = (crc >>> 1) ^ ((crc & 1) == 0 ? 0 : 0x82f63b78);
      }
    }
    return ~crc;
  }
}
