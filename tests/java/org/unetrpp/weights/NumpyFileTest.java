package org.unetrpp.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.files.InvalidFileException;

class NumpyFileTest {
  @TempDir Path folder;

  @Test
  void writtenFilesReadTheSame() throws IOException {
    for (List<Integer> shape :
        List.of(List.<Integer>of(), List.of(6), List.of(1, 2, 3), List.of(0, 2))) {
      int elements = shape.stream().reduce(1, Math::multiplyExact);
      float[] values = new float[elements];
      for (int i = 0; i < elements; i++) {
        values[i] = i - 1.25f;
      }
      Path path = folder.resolve("x.npy");
      NumpyFile.write(path, new NumpyFile.Array(shape, values));
      NumpyFile.Array read = NumpyFile.read(path);
      assertThat(read.shape()).isEqualTo(shape);
      assertThat(read.values()).containsExactly(values);
    }
  }

  @Test
  void arraysOfAnArchiveReadTheSame() throws IOException {
    Path plain = folder.resolve("x.npy");
    NumpyFile.write(plain, new NumpyFile.Array(List.of(2, 3), new float[] {1, 2, 3, 4, 5, 6.5f}));
    Path archive = folder.resolve("x.npz");
    try (ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(archive))) {
      out.putNextEntry(new ZipEntry("data.npy"));
      Files.copy(plain, out);
    }
    NumpyFile.Array read = NumpyFile.readZipped(archive, "data");
    assertThat(read.shape()).containsExactly(2, 3);
    assertThat(read.values()).containsExactly(1, 2, 3, 4, 5, 6.5f);
    assertThatThrownBy(() -> NumpyFile.readZipped(archive, "softmax"))
        .isInstanceOf(InvalidFileException.class)
        .hasMessage(archive + ": holds no array 'softmax'");
    assertThatThrownBy(() -> NumpyFile.readZipped(plain, "data"))
        .isInstanceOf(InvalidFileException.class)
        .hasMessageContaining(plain + ": no valid .npz file");
  }

  @Test
  void headerIsWhatNumpyWrites() throws IOException {
    Path path = folder.resolve("x.npy");
    NumpyFile.write(path, new NumpyFile.Array(List.of(2), new float[2]));
    byte[] bytes = Files.readAllBytes(path);
    String expected = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
    String header = new String(bytes, 10, 118, StandardCharsets.ISO_8859_1);
    assertThat(bytes).hasSize(128 + 8).startsWith(0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 118, 0);
    assertThat(header).startsWith(expected).endsWith("\n");
    assertThat(header.strip()).isEqualTo(expected);
  }

  @ParameterizedTest
  @CsvSource({"<f2, 1", ">f2, 2", "<f4, 1", ">f4, 3", "<f8, 2", ">f8, 1"})
  void typesAndByteOrdersAreRead(String type, int version) throws IOException {
    int bytes = type.charAt(2) - '0';
    byte[] values = new byte[2 * bytes];
    ByteBuffer buffer =
        ByteBuffer.wrap(values)
            .order(type.startsWith("<") ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
    for (float value : new float[] {1.5f, -0.25f}) {
      switch (bytes) {
        case 2 -> buffer.putShort(Float.floatToFloat16(value));
        case 4 -> buffer.putFloat(value);
        default -> buffer.putDouble(value);
      }
    }
    String header = "{'descr': '%s', 'fortran_order': False, 'shape': (2,), }\n".formatted(type);
    assertThat(NumpyFile.read(file(version, header, values)).values())
        .containsExactly(1.5f, -0.25f);
  }

  @Test
  void columnOrderIsTurnedIntoRows() throws IOException {
    byte[] values = new byte[24];
    ByteBuffer buffer = ByteBuffer.wrap(values).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : new float[] {0, 10, 1, 11, 2, 12}) {
      buffer.putFloat(value);
    }
    String header = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n";
    assertThat(NumpyFile.read(file(1, header, values)).values())
        .containsExactly(0, 1, 2, 10, 11, 12);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{'descr': '<i4', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2147483647, 2147483647, 2147483647), }",
        "{'descr': '<f4', 'fortran_order': False, }",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } x",
        "{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,), }",
        "",
        "{"
      })
  void badHeadersAreRefused(String header) throws IOException {
    assertRefused(file(1, header + "\n", new byte[4]));
  }

  @Test
  void otherFilesAreRefused() throws IOException {
    assertRefused(Files.write(folder.resolve("a"), new byte[0]));
    assertRefused(Files.write(folder.resolve("b"), new byte[200]));
    assertRefused(
        file(4, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", new byte[4]));
  }

  private Path file(int version, String header, byte[] values) throws IOException {
    byte[] text = header.getBytes(StandardCharsets.ISO_8859_1);
    int lengthBytes = version == 1 ? 2 : 4;
    ByteBuffer bytes =
        ByteBuffer.allocate(8 + lengthBytes + text.length + values.length)
            .order(ByteOrder.LITTLE_ENDIAN);
    bytes.put((byte) 0x93).put("NUMPY".getBytes(StandardCharsets.US_ASCII));
    bytes.put((byte) version).put((byte) 0);
    if (version == 1) {
      bytes.putShort((short) text.length);
    } else {
      bytes.putInt(text.length);
    }
    bytes.put(text).put(values).flip();
    byte[] all = new byte[bytes.remaining()];
    bytes.get(all);
    return Files.write(folder.resolve("x.npy"), all);
  }

  private static void assertRefused(Path path) {
    assertThatThrownBy(() -> NumpyFile.read(path))
        .isInstanceOf(InvalidFileException.class)
        .hasMessageContaining(path.toString());
  }
}
