package org.unetrpp.convert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.testing.TestResources;
import org.unetrpp.weights.StoredTensor;
import org.unetrpp.weights.TensorFile;
import org.unetrpp.weights.TensorFiles;

class HostileCheckpointTest {
  private static final String P2 = "\u0080\u0002";

  /** Damaged files tried of each kind; {@code -Dfuzz.rounds} asks for more. */
  private static final int ROUNDS = Integer.getInteger("fuzz.rounds", 100);

  @TempDir Path folder;

  static Stream<Arguments> pickles() {
    return Stream.of(
        hostile("os.system", P2 + "cos\nsystem\nX\u0002\0\0\0ls\u0085R.", "call os.system"),
        hostile("posix.system", P2 + "cposix\nsystem\n.", "call posix.system"),
        hostile("eval", P2 + "cbuiltins\neval\nX\u0001\0\0\0x\u0085R.", "call builtins.eval"),
        hostile(
            "stack global",
            "\u0080\u0004\u008c\u0002os\u008c\u0006system\u0093.",
            "refused: pickle wants to call os.system"),
        hostile("INST", P2 + "(X\u0002\0\0\0lsios\nsystem\n.", "call os.system"),
        hostile("OBJ", P2 + "(cos\nsystem\nX\u0002\0\0\0lso.", "call os.system"),
        hostile(
            "nested reduce",
            P2 + "ccollections\nOrderedDict\n)R)R.",
            "refused: pickle wants to call what is a dict"),
        hostile("extension", P2 + "\u0082\u0001.", "extension registry"),
        hostile(
            "script class outside of TorchScript",
            P2 + "c__torch__\nFoo\n)\u0081.",
            "__torch__.Foo"),
        hostile("deep marks", P2 + "(".repeat(100_000) + ".", "nested deeper"),
        hostile("deep lists", P2 + "]".repeat(5000) + "a".repeat(4999) + ".", "nested too deep"),
        hostile("cyclic list", P2 + "]q\u0000h\u0000a.", "nested too deep"),
        hostile("exponential sharing", P2 + sharing(40) + ".", "nested too deep"),
        hostile(
            "far memo",
            P2 + "Nr\u00ff\u00ff\u00ff\u00ffj\u00ff\u00ff\u00ff\u007f.",
            "remembered value"),
        hostile("long text", P2 + "X\u00ff\u00ff\u00ff\u007fabc.", "asks for 2147483647 bytes"),
        hostile("longer text", "\u0080\u0004\u008d" + "\u00ff".repeat(8) + ".", "asks for"),
        hostile(
            "giant number", P2 + "\u008b\u00ff\u00ff\u00ff\u007f.", "a number of 2147483647 bytes"),
        hostile("giant decimal", "L" + "9".repeat(100_000) + "L\n.", "a number of 100001 digits"),
        hostile("frame", "\u0080\u0004\u0095" + "\u00ff".repeat(7) + "\u007f.", "a frame of"),
        hostile("unknown instruction", P2 + "\u00ee.", "0xee is no instruction"),
        hostile("protocol", "\u0080\u0009N.", "pickle protocol 9"),
        hostile("stack underflow", P2 + "0.", "from a stack of 0"),
        hostile("nothing", "", "asks for 1 bytes"),
        hostile("no stop", P2 + "N", "asks for 1 bytes"),
        hostile("rest", P2 + "N.N.", "2 bytes follow"),
        hostile("list as key", P2 + "}]Ns.", "a list as key"),
        hostile("no storage", P2 + "X\u0001\0\0\0xQ.", "not a tensor's storage"),
        hostile(
            "encode bomb",
            P2
                + "X\u00a0\u0086\u0001\0"
                + "a".repeat(100_000)
                + "q\u0000(c_codecs\nencode\nq\u0001h\u0000X\u0006\0\0\0latin1q\u0002\u0086R"
                + "h\u0001h\u0000h\u0002\u0086R".repeat(10)
                + "t.",
            "makes more bytes"),
        hostile("lying storage", TestZip.tensor(5, 0, 4, 1), "has 16 bytes, expected 20"),
        hostile("offset beyond", TestZip.tensor(4, 1, 4, 1), "reaches beyond storage 0"),
        hostile("stride beyond", TestZip.tensor(4, 0, 4, 2), "reaches beyond storage 0"),
        hostile(
            "expansion",
            TestZip.tensor(4, 0, 1, 0)
                .replace("K\u0001\u0085", "\u008a\u0006\0\0\0\0\0\u0001\u0085"),
            "repeats its storage"));
  }

  private static Arguments hostile(String name, String pickle, String problem) {
    return Arguments.of(name, pickle, problem);
  }

  /** Lists each of which holds the one before it twice. */
  private static String sharing(int levels) {
    StringBuilder text = new StringBuilder("]q").append((char) 0).append('0');
    for (char level = 1; level <= levels; level++) {
      char last = (char) (level - 1);
      text.append("](h").append(last).append('h').append(last).append("eq").append(level);
      text.append('0');
    }
    return text.append('h').append((char) levels).toString();
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("pickles")
  void pickleIsRefused(String name, String pickle, String problem) throws IOException {
    Path path = TestZip.of(pickle).stored(folder.resolve("x.pth"));
    Assertions.assertTimeout(Duration.ofSeconds(10), () -> assertRefused(path, problem));
  }

  @Test
  void honestPickleIsRead() throws IOException {
    Path path = TestZip.of(TestZip.ONE_TENSOR).stored(folder.resolve("x.pth"));
    try (TensorFile file = TensorFiles.open(path)) {
      assertThat(file.tensor("t")).hasToString("t float32(4)");
    }
  }

  @Test
  void compressedEntriesAreRead() throws IOException {
    Path path = TestZip.of(TestZip.ONE_TENSOR).deflated(folder.resolve("x.pth"));
    try (TensorFile file = TensorFiles.open(path)) {
      assertThat(file.tensor("t").toFloats()).containsExactly(0, 0, 0, 0);
    }
  }

  @Test
  void directoryWith64BitOffsetsIsRead() throws IOException {
    Path path = TestZip.of(TestZip.ONE_TENSOR).stored(folder.resolve("x.pth"));
    Files.write(path, with64BitDirectory(Files.readAllBytes(path), 0));
    try (TensorFile file = TensorFiles.open(path)) {
      assertThat(file.tensors()).containsOnlyKeys("t");
    }
  }

  @Test
  void lying64BitDirectoryIsRefused() throws IOException {
    for (long lie : new long[] {1, 1L << 40, Long.MAX_VALUE / 2}) {
      Path path = TestZip.of(TestZip.ONE_TENSOR).stored(folder.resolve("x.pth"));
      Files.write(path, with64BitDirectory(Files.readAllBytes(path), lie));
      assertRefused(path, "zip");
    }
  }

  /** The same archive with its directory's place in a 64-bit record, moved by {@code lie}. */
  private static byte[] with64BitDirectory(byte[] zip, long lie) {
    int end = zip.length - 22;
    ByteBuffer old = ByteBuffer.wrap(zip).order(ByteOrder.LITTLE_ENDIAN);
    byte[] bytes = new byte[zip.length + 56 + 20];
    ByteBuffer changed = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).put(zip, 0, end);
    changed.putInt(0x06064b50).putLong(44).putShort((short) 45).putShort((short) 45).putLong(0);
    changed.putLong(old.getShort(end + 10)).putLong(old.getShort(end + 10));
    changed.putLong(old.getInt(end + 12)).putLong(old.getInt(end + 16) + lie);
    changed.putInt(0x07064b50).putInt(0).putLong(end).putInt(1);
    changed.putInt(0x06054b50).putInt(0).putLong(-1).putInt(-1).putShort((short) 0);
    return bytes;
  }

  @Test
  void zipBombIsRefusedBeforeItIsInflated() throws IOException {
    Path path =
        new TestZip()
            .with("x/data.pkl", new byte[50_000_000])
            .with("x/version", TestZip.bytes("3\n"))
            .deflated(folder.resolve("x.pth"));
    assertRefused(path, "too many for an archive");
  }

  @ParameterizedTest
  @ValueSource(strings = {"../x/data/1", "/x/data/1", "x\\data", "x/\0", "C:/x"})
  void trickyNamesAreRefused(String name) throws IOException {
    Path path =
        TestZip.of(TestZip.ONE_TENSOR).with(name, new byte[1]).stored(folder.resolve("x.pth"));
    assertRefused(path, "refused: an entry is named");
  }

  @Test
  void twoEntriesOfOneNameAreRefused() throws IOException {
    Path path =
        TestZip.of(TestZip.ONE_TENSOR)
            .with("x/data/1", new byte[4])
            .stored(folder.resolve("x.pth"));
    replaceAll(path, "x/data/1", "x/data/0");
    assertRefused(path, "has two entries x/data/0");
  }

  @Test
  void damagedValuesAreRefused() throws IOException {
    Path path =
        TestZip.of(TestZip.ONE_TENSOR)
            .with("x/data/0", TestZip.bytes("sixteen letters!"))
            .stored(folder.resolve("x.pth"));
    replaceAll(path, "sixteen", "fifteen");
    assertRefused(path, "entry x/data/0 is damaged: CRC-32");
  }

  @Test
  void bigEndianIsRefused() throws IOException {
    Path path =
        TestZip.of(TestZip.ONE_TENSOR)
            .with("x/byteorder", TestZip.bytes("big"))
            .stored(folder.resolve("x.pth"));
    assertRefused(path, "entry x/byteorder is 'big'");
  }

  @Test
  void zipWithoutCheckpointIsRefusedWithItsNames() throws IOException {
    Path path = new TestZip().with("readme.txt", new byte[3]).stored(folder.resolve("x.zip"));
    assertRefused(path, "found [readme.txt]");
  }

  @Test
  void tarIsRefusedByName() throws IOException {
    byte[] tar = new byte[512];
    System.arraycopy(TestZip.bytes("ustar"), 0, tar, 257, 5);
    Path path = Files.write(folder.resolve("x.tar"), tar);
    assertRefused(path, "a tar archive");
  }

  @Test
  void filesOfNoFormatAreRefusedWithTheirFirstBytes() throws IOException {
    assertRefused(
        Files.write(folder.resolve("a"), TestZip.bytes("abc")),
        "not a model file or checkpoint: first bytes 61 62 63");
    assertRefused(Files.write(folder.resolve("b"), new byte[0]), "the file is empty");
  }

  @Test
  void damagedPlansAreRefusedWithTheReason() {
    assertRefused(
        TestResources.path("checkpoints/nnunet-v1-plans/plans.pkl"),
        "byte 15094: the pickle stops with 13 unfinished values and 5769 bytes left");
    assertThatThrownBy(
            () -> TrainingPlan.read(TestResources.path("checkpoints/nnunet-v1-plans/plans.pkl")))
        .isInstanceOf(InvalidFileException.class)
        .hasMessageContaining("unfinished values");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "checkpoints/burn/reader/legacy_shared_storage.pt",
        "checkpoints/burn/reader/checkpoint.pt",
        "made-checkpoints/views.pth"
      })
  void everyTruncationIsRefused(String name) throws IOException {
    byte[] whole = Files.readAllBytes(TestResources.path(name));
    Path path = folder.resolve("cut.pth");
    for (int length = 0; length < whole.length; length += 1 + whole.length / 200) {
      Files.write(path, Arrays.copyOf(whole, length));
      assertRefused(path, path.toString());
    }
  }

  /** Flips of any byte give an answer or an {@link InvalidFileException}, soon. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "checkpoints/burn/reader/legacy_shared_storage.pt",
        "checkpoints/burn/reader/checkpoint.pt",
        "checkpoints/torchscript/tch_foo1.pt",
        "checkpoints/monai/arch_code_cvpr.pth",
        "made-checkpoints/views.pth",
        "made-checkpoints/protocol4.pth"
      })
  void flippedBytesGiveAnAnswerOrAReason(String name) throws IOException {
    byte[] whole = Files.readAllBytes(TestResources.path(name));
    Path path = folder.resolve("flipped.pth");
    Random random = new Random(7);
    for (int round = 0; round < ROUNDS; round++) {
      byte[] flipped = whole.clone();
      int flips = 1 + random.nextInt(3);
      for (int i = 0; i < flips; i++) {
        flipped[random.nextInt(flipped.length)] = (byte) random.nextInt(256);
      }
      Files.write(path, flipped);
      Assertions.assertTimeout(Duration.ofSeconds(5), () -> readOrRefuse(path));
    }
  }

  /** The same under a valid checksum, which would otherwise catch most flips. */
  @Test
  void flippedPickleInSoundZipGivesAnAnswerOrAReason() throws IOException {
    Map<String, byte[]> entries = new LinkedHashMap<>();
    try (ZipFile zip = new ZipFile(TestResources.path("made-checkpoints/views.pth").toFile())) {
      for (ZipEntry entry : Collections.list(zip.entries())) {
        entries.put(entry.getName(), zip.getInputStream(entry).readAllBytes());
      }
    }
    Random random = new Random(13);
    for (int round = 0; round < 5 * ROUNDS; round++) {
      TestZip flipped = new TestZip();
      entries.forEach((name, content) -> {
        byte[] changed = content.clone();
        if (name.endsWith("data.pkl")) {
          changed[random.nextInt(changed.length)] = (byte) random.nextInt(256);
        }
        flipped.with(name, changed);
      });
      Path path = flipped.stored(folder.resolve("flipped.pth"));
      Assertions.assertTimeout(Duration.ofSeconds(5), () -> readOrRefuse(path));
    }
  }

  /** The same for pickles alone, whose checksum would otherwise catch the flips. */
  @ParameterizedTest
  @ValueSource(strings = {"training.model.pkl", "plans.pkl", "plans-protocol2.pkl"})
  void flippedPlansGiveAnAnswerOrAReason(String name) throws IOException {
    byte[] whole = Files.readAllBytes(TestResources.path("made-checkpoints/" + name));
    Path path = folder.resolve("flipped.pkl");
    Random random = new Random(11);
    for (int round = 0; round < ROUNDS; round++) {
      byte[] flipped = whole.clone();
      flipped[random.nextInt(flipped.length)] = (byte) random.nextInt(256);
      Files.write(path, flipped);
      try {
        assertThat(TrainingPlan.read(path).classes()).isNotNegative();
      } catch (InvalidFileException e) {
        assertThat(e).hasMessageContaining(path.toString());
      }
    }
  }

  private static void readOrRefuse(Path path) {
    try (TensorFile file = TensorFiles.open(path)) {
      for (StoredTensor tensor : file.tensors().values()) {
        assertThat(tensor.toFloats()).hasSize(Math.toIntExact(tensor.elements()));
      }
    } catch (InvalidFileException e) {
      assertThat(e).hasMessageContaining(path.toString());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void assertRefused(Path path, String problem) {
    assertThatThrownBy(
            () -> {
              try (TensorFile file = TensorFiles.open(path)) {
                assertThat(file.tensors()).isNull();
              }
            })
        .isInstanceOf(InvalidFileException.class)
        .hasMessageContaining(path.toString())
        .hasMessageContaining(problem);
  }

  private static void replaceAll(Path path, String from, String to) throws IOException {
    String text = new String(Files.readAllBytes(path), StandardCharsets.ISO_8859_1);
    Files.write(path, TestZip.bytes(text.replace(from, to)));
  }
}
