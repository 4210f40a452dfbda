package org.unetrpp.training;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.Map;
import java.util.SequencedMap;
import java.util.zip.CRC32C;

/**
 * Curves for TensorBoard: a file of records, each with its length and two checksums, that hold
 * protocol buffers of type {@code tensorflow.Event}. Each part of a run has a file of its own;
 * TensorBoard joins them.
 */
final class EventFile implements AutoCloseable {
  private static final String VERSION = "brain.Event:2";

  // Numbers of the fields of Event, Summary, Summary.Value and SessionLog.
  private static final int EVENT_WALL_TIME = 1;
  private static final int EVENT_STEP = 2;
  private static final int EVENT_FILE_VERSION = 3;
  private static final int EVENT_SUMMARY = 5;
  private static final int EVENT_SESSION_LOG = 7;
  private static final int SUMMARY_VALUE = 1;
  private static final int VALUE_TAG = 1;
  private static final int VALUE_SIMPLE_VALUE = 2;
  private static final int SESSION_STATUS = 1;
  private static final int SESSION_START = 1;

  private final OutputStream out;

  private EventFile(OutputStream out) {
    this.out = out;
  }

  /**
   * Begins a new file.
   *
   * @param folder where it lies
   * @param firstStep what earlier files hold from this step on no longer counts
   */
  @MustBeClosed
  static EventFile create(Path folder, long firstStep) throws IOException {
    EventFile file = new EventFile(newFile(folder));
    try {
      file.write(event(0).text(EVENT_FILE_VERSION, VERSION));
      Message session = new Message().varint(SESSION_STATUS, SESSION_START);
      file.write(event(firstStep).message(EVENT_SESSION_LOG, session));
      return file;
    } catch (IOException e) {
      file.close();
      throw e;
    }
  }

  /** TensorBoard reads files in the order of their names. */
  private static OutputStream newFile(Path folder) throws IOException {
    long second = Instant.now().getEpochSecond();
    for (int part = 0; ; part++) {
      String name = "events.out.tfevents.%010d.%03d".formatted(second, part);
      try {
        return Files.newOutputStream(folder.resolve(name), StandardOpenOption.CREATE_NEW);
      } catch (FileAlreadyExistsException e) {
        // a part that ended within this second
      }
    }
  }

  /**
   * Adds points to curves, so that they are on the disk at once.
   *
   * @param step steps done when they were found
   * @param values by name of the curve; those that are no numbers are left out
   */
  void write(long step, SequencedMap<String, Double> values) throws IOException {
    Message summary = new Message();
    for (Map.Entry<String, Double> value : values.entrySet()) {
      if (!Double.isNaN(value.getValue())) {
        summary.message(
            SUMMARY_VALUE,
            new Message()
                .text(VALUE_TAG, value.getKey())
                .float32(VALUE_SIMPLE_VALUE, value.getValue().floatValue()));
      }
    }
    write(event(step).message(EVENT_SUMMARY, summary));
  }

  private static Message event(long step) {
    double now = Instant.now().toEpochMilli() * 1e-3;
    return new Message().float64(EVENT_WALL_TIME, now).varint(EVENT_STEP, step);
  }

  private void write(Message event) throws IOException {
    byte[] bytes = event.bytes();
    byte[] length = littleEndian(Long.BYTES).putLong(bytes.length).array();
    out.write(
        littleEndian(Long.BYTES + bytes.length + 2 * Integer.BYTES)
            .put(length)
            .putInt(maskedChecksum(length))
            .put(bytes)
            .putInt(maskedChecksum(bytes))
            .array());
  }

  /** CRC-32C, turned and shifted: data that hold checksums themselves would else collide. */
  static int maskedChecksum(byte[] bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes);
    return Integer.rotateRight((int) crc.getValue(), 15) + 0xa282ead8;
  }

  private static ByteBuffer littleEndian(int size) {
    return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
  }

  @Override
  public void close() throws IOException {
    out.close();
  }

  /** A message of protocol buffers in the making. */
  private static final class Message {
    private static final int VARINT = 0;
    private static final int FIXED64 = 1;
    private static final int LENGTH_DELIMITED = 2;
    private static final int FIXED32 = 5;

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    Message varint(int field, long value) {
      key(field, VARINT);
      number(value);
      return this;
    }

    Message float64(int field, double value) {
      key(field, FIXED64);
      out.writeBytes(littleEndian(Double.BYTES).putDouble(value).array());
      return this;
    }

    Message float32(int field, float value) {
      key(field, FIXED32);
      out.writeBytes(littleEndian(Float.BYTES).putFloat(value).array());
      return this;
    }

    Message text(int field, String value) {
      return delimited(field, value.getBytes(StandardCharsets.UTF_8));
    }

    Message message(int field, Message value) {
      return delimited(field, value.bytes());
    }

    byte[] bytes() {
      return out.toByteArray();
    }

    private Message delimited(int field, byte[] value) {
      key(field, LENGTH_DELIMITED);
      number(value.length);
      out.writeBytes(value);
      return this;
    }

    private void key(int field, int wireType) {
      number((long) field << 3 | wireType);
    }

    /** Seven bits a byte, lowest first, the eighth set on all but the last. */
    private void number(long value) {
      long rest = value;
      while ((rest & ~0x7fL) != 0) {
        out.write((int) (rest & 0x7f) | 0x80);
        rest >>>= 7;
      }
      out.write((int) rest);
    }
  }
}
