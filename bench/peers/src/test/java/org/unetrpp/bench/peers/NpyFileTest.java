package org.unetrpp.bench.peers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class NpyFileTest {
  private static final String HEADER =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }\n";

  @TempDir private Path folder;

  @Test
  void readsShapeAndValues() throws IOException {
    NpyFile file = NpyFile.open(write(HEADER, 1, -4, 2));

    assertThat(file.shape()).containsExactly(1L, 3L);
    try (Arena arena = Arena.ofConfined()) {
      assertThat(file.read(arena).toArray(ValueLayout.JAVA_FLOAT)).containsExactly(1, -4, 2);
    }
  }

  @Test
  void deviationIsRelativeToTheLargestExpected() throws IOException {
    NpyFile file = NpyFile.open(write(HEADER, 1, -4, 2));

    NpyFile.Deviation deviation = file.deviation(MemorySegment.ofArray(new float[] {1, -4, 2.5f}));

    assertThat(deviation.largest()).isEqualTo(0.125);
    assertThat(deviation.rms()).isCloseTo(0.125 / Math.sqrt(3), within(1e-15));
  }

  @Test
  void rejectsValuesThatAreNotFinite() throws IOException {
    NpyFile file = NpyFile.open(write(HEADER, 1, -4, 2));

    assertThatIllegalArgumentException()
        .isThrownBy(() -> file.deviation(MemorySegment.ofArray(new float[] {1, Float.NaN, 2})))
        .withMessage("value 1 is NaN, expected -4.0");
  }

  @Test
  void rejectsAnotherNumberOfValues() throws IOException {
    NpyFile file = NpyFile.open(write(HEADER, 1, -4, 2));

    assertThatIllegalArgumentException()
        .isThrownBy(() -> file.deviation(MemorySegment.ofArray(new float[2])))
        .withMessageStartingWith("8 bytes, expected the 12");
  }

  @Test
  void rejectsOtherTypes() throws IOException {
    Path path = write(HEADER.replace("<f4", "<f8"), 1, -4, 2);

    assertThatIllegalArgumentException()
        .isThrownBy(() -> NpyFile.open(path))
        .withMessageContaining("expected row-major '<f4'");
  }

  @Test
  void rejectsAFileCutShort() throws IOException {
    Path path = write(HEADER, 1, -4);

    assertThatIllegalArgumentException()
        .isThrownBy(() -> NpyFile.open(path))
        .withMessageContaining("expected 82 for shape [1, 3]");
  }

  @Test
  void rejectsOtherFiles() throws IOException {
    Path path = Files.writeString(folder.resolve("text.npy"), "no array, but a text");

    assertThatIllegalArgumentException()
        .isThrownBy(() -> NpyFile.open(path))
        .withMessageEndingWith("not a .npy file of version 1.0");
  }

  private Path write(String header, float... values) throws IOException {
    ByteBuffer bytes =
        ByteBuffer.allocate(10 + header.length() + values.length * Float.BYTES)
            .order(ByteOrder.LITTLE_ENDIAN)
            .put((byte) 0x93)
            .put("NUMPY".getBytes(StandardCharsets.US_ASCII))
            .put((byte) 1)
            .put((byte) 0)
            .putShort((short) header.length())
            .put(header.getBytes(StandardCharsets.US_ASCII));
    for (float value : values) {
      bytes.putFloat(value);
    }
    return Files.write(folder.resolve("array.npy"), bytes.array());
  }
}
