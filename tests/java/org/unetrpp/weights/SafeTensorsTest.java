package org.unetrpp.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.files.InvalidFileException;

class SafeTensorsTest {
  private static final String F32 = "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}";

  @TempDir Path folder;

  @Test
  void writtenFileReadsTheSame() throws IOException {
    Path path = folder.resolve("x.safetensors");
    StoredTensor odd = StoredTensor.ofFloats("odd", List.of(3L), new float[] {1, -2, 0.5f});
    StoredTensor count =
        StoredTensor.of(
            "count",
            StoredType.INT64,
            List.of(),
            MemorySegment.ofArray(new byte[] {7, 0, 0, 0, 0, 0, 0, 0}));
    StoredTensor empty = StoredTensor.ofFloats("empty", List.of(0L, 4L), new float[0]);
    Map<String, String> metadata = Map.of("format", "1", "label", "\u2264 \"quoted\"\n");
    SafeTensors.write(path, List.of(odd, count, empty), metadata, StoredType.FLOAT32);

    try (TensorFile file = TensorFiles.open(path)) {
      assertThat(file.format()).isEqualTo("safetensors");
      assertThat(file.metadata()).isEqualTo(metadata);
      assertThat(file.tensors().keySet()).containsExactly("odd", "count", "empty");
      assertThat(file.tensor("odd").toFloats()).containsExactly(1, -2, 0.5f);
      assertThat(file.tensor("count").toFloats()).containsExactly(7);
      assertThat(file.tensor("count").sha256()).isEqualTo(count.sha256());
      assertThat(file.tensor("empty").toFloats()).isEmpty();
      assertThatThrownBy(() -> file.tensor("none"))
          .isInstanceOf(InvalidFileException.class)
          .hasMessage(path + ": has no tensor none");
    }
    long header =
        ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN).getLong();
    assertThat(header % 8).isZero();
  }

  /** Ties go to the even neighbor, and NaN stays NaN. */
  @ParameterizedTest
  @CsvSource({
    "3f800000, 3f80",
    "3f808000, 3f80",
    "3f818000, 3f82",
    "3f808001, 3f81",
    "3f807fff, 3f80",
    "7f7fffff, 7f80",
    "ff800000, ff80",
    "7f800001, 7fc0",
    "80000001, 8000"
  })
  void bfloat16IsRoundedToNearestEven(String bits, String expected) throws IOException {
    Path path = folder.resolve("x.safetensors");
    float value = Float.intBitsToFloat(Integer.parseUnsignedInt(bits, 16));
    StoredTensor tensor = StoredTensor.ofFloats("x", List.of(1L), new float[] {value});
    SafeTensors.write(path, List.of(tensor), Map.of(), StoredType.BFLOAT16);
    try (TensorFile file = TensorFiles.open(path)) {
      StoredTensor read = file.tensor("x");
      int stored = Float.floatToRawIntBits(read.toFloats()[0]) >>> 16;
      assertThat(read.type()).isEqualTo(StoredType.BFLOAT16);
      assertThat(Integer.toHexString(stored)).isEqualTo(expected);
    }
  }

  @Test
  void conversionInPiecesEqualsConversionAtOnce() {
    float[] values = new float[200_000];
    Random random = new Random(3);
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    StoredTensor tensor = StoredTensor.ofFloats("x", List.of(200_000L), values);
    StoredTensor rounded = tensor.as(StoredType.BFLOAT16);
    StoredTensor back = rounded.as(StoredType.FLOAT32);
    StoredTensor gathered =
        StoredTensor.of("x", StoredType.BFLOAT16, List.of(200_000L), rounded.bytes());

    assertThat(gathered.sha256()).isEqualTo(rounded.sha256());
    assertThat(back.toFloats()).isEqualTo(rounded.toFloats());
    assertThat(tensor.as(StoredType.FLOAT32)).isSameAs(tensor);
  }

  @ParameterizedTest(name = "{0}")
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{} | the tensors end at byte 0 of the values, but the file has 8",
        "{'a':{'dtype':'F32','shape':[3],'data_offsets':[0,12]}} | tensor a lies at bytes 0 to 12",
        "{'a':{'dtype':'F32','shape':[3],'data_offsets':[0,8]}} | tensor a has 8 bytes, expected 12",
        "{'a':{'dtype':'F32','shape':[1],'data_offsets':[4,8]}} | tensor a begins at byte 4 of the values, expected 0",
        "{'a':{'dtype':'F32','shape':[4294967296,4294967296],'data_offsets':[0,8]}} | larger than any file",
        "{'a':{'dtype':'F8_E4M3','shape':[8],'data_offsets':[0,8]}} | tensor a has type F8_E4M3, which is not supported",
        "{'a':{'dtype':'F32','shape':[-2],'data_offsets':[0,8]}} | tensor a has -2 in shape",
        "{'a':{'dtype':'F32','shape':[2.0],'data_offsets':[0,8]}} | tensor a has 2.0 in shape",
        "{'a':{'dtype':'F32','shape':['2'],'data_offsets':[0,8]}} | tensor a has no number in shape",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0]}} | tensor a has 1 data_offsets",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[8,0]}} | tensor a lies at bytes 8 to 0",
        "{'a':{'dtype':'F32','shape':[2]}} | tensor a lacks one of",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8],'x':1}} | tensor a has an unknown field x",
        "{'__metadata__':{'x':1}} | tensor __metadata__ holds a value of x that is no text",
        "[] | not the JSON it should be",
        "{'a':1} | not the JSON it should be",
        "{a:{}} | not the JSON it should be",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}} x | not the JSON it should be"
      })
  void lyingHeaderIsRefused(String header, String problem) throws IOException {
    assertRefused(file(header.replace('\'', '"'), 8), problem);
  }

  @Test
  void twiceNamedTensorIsRefused() throws IOException {
    String entry = F32.substring(1);
    assertRefused(
        file(("{" + entry + "," + entry + "}").replace('\'', '"'), 8), "tensor a occurs twice");
  }

  @Test
  void overlapIsRefused() throws IOException {
    String two = F32 + "," + F32.substring(1).replace("'a'", "'b'") + "}";
    assertRefused(file(two.replace('\'', '"'), 8), "overlap or leave a gap");
  }

  @Test
  void everyTruncationIsRefused() throws IOException {
    byte[] whole = Files.readAllBytes(file((F32 + "}").replace('\'', '"'), 8));
    for (int length = 0; length < whole.length; length++) {
      Path path = Files.write(folder.resolve("cut"), Arrays.copyOf(whole, length));
      assertRefused(path, path.toString());
    }
  }

  @Test
  void longHeaderIsRefusedBeforeItIsRead() throws IOException {
    byte[] bytes = new byte[16];
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(200_000_000).put((byte) '{');
    assertRefused(Files.write(folder.resolve("x"), bytes), "header length is 200000000");
  }

  @Test
  void twoTensorsOfOneNameAreNotWritten() {
    StoredTensor tensor = StoredTensor.ofFloats("x", List.of(1L), new float[1]);
    Path path = folder.resolve("x.safetensors");
    assertThatThrownBy(
            () -> SafeTensors.write(path, List.of(tensor, tensor), Map.of(), StoredType.FLOAT32))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> SafeTensors.write(path, List.of(tensor), Map.of(), StoredType.FLOAT16))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("expected float32 or bfloat16");
    assertThat(path).doesNotExist();
  }

  private Path file(String header, int valueBytes) throws IOException {
    byte[] text = header.getBytes(StandardCharsets.UTF_8);
    byte[] bytes = new byte[8 + text.length + valueBytes];
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(text.length).put(text);
    return Files.write(folder.resolve("x.safetensors"), bytes);
  }

  @Test
  void contentInMemoryReadsAsTheFile() throws IOException {
    Path path = folder.resolve("x.safetensors");
    StoredTensor odd = StoredTensor.ofFloats("odd", List.of(3L), new float[] {1, -2, 0.5f});
    SafeTensors.write(path, List.of(odd), Map.of("format", "1"), StoredType.BFLOAT16);
    byte[] content = Files.readAllBytes(path);
    Path name = Path.of("nowhere", "x.safetensors");
    try (TensorFile file = SafeTensors.open(name, content)) {
      Arrays.fill(content, (byte) 0); // what was copied stays
      assertThat(file.path()).isEqualTo(name);
      assertThat(file.metadata()).isEqualTo(Map.of("format", "1"));
      assertThat(file.tensor("odd").type()).isEqualTo(StoredType.BFLOAT16);
      assertThat(file.tensor("odd").toFloats()).containsExactly(1, -2, 0.5f);
    }
  }

  @Test
  void contentInMemoryIsGoneWithItsFile() throws IOException {
    Path path = file((F32 + "}").replace('\'', '"'), 8);
    StoredTensor tensor;
    try (TensorFile file = SafeTensors.open(path, Files.readAllBytes(path))) {
      tensor = file.tensor("a");
    }
    assertThatThrownBy(tensor::toFloats).isInstanceOf(IllegalStateException.class);
  }

  /** On the disk and in memory alike. */
  private static void assertRefused(Path path, String problem) throws IOException {
    byte[] content = Files.readAllBytes(path);
    assertThatThrownBy(
            () -> {
              try (TensorFile file = new SafeTensors().open(path)) {
                assertThat(file.tensors()).isNull();
              }
            })
        .isInstanceOf(InvalidFileException.class)
        .hasMessageContaining(path.toString())
        .hasMessageContaining(problem);
    assertThatThrownBy(() -> SafeTensors.open(path, content).close())
        .isInstanceOf(InvalidFileException.class)
        .hasMessageContaining(path.toString())
        .hasMessageContaining(problem);
  }
}
