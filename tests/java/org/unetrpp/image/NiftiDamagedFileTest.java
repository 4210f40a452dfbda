package org.unetrpp.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.files.InvalidFileException;

class NiftiDamagedFileTest {
  @TempDir private Path folder;

  @ParameterizedTest(name = "{0}[{1}] = {2}: {3}")
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          DIM        | 0 | 0     | dim[0] at byte 40 is 0, expected 1 to 7
          DIM        | 0 | 8     | dim[0] at byte 40 is 8, expected 1 to 7
          DIM        | 1 | 0     | dim[1] at byte 42 is 0, expected 1 to
          DIM        | 3 | -5    | dim[3] at byte 46 is -5, expected 1 to
          DIM        | 2 | 32000 | the header promises 512000 bytes of voxels from byte 352 on
          DATATYPE   | 0 | 0     | datatype at byte 70 is 0, expected
          DATATYPE   | 0 | 1536  | datatype at byte 70 is 1536 (float128), expected
          BITPIX     | 0 | 8     | bitpix at byte 72 is 8, expected 16 for datatype int16
          PIXDIM     | 2 | NaN   | pixdim[2] at byte 84 is NaN, expected
          VOX_OFFSET | 0 | 200   | vox_offset at byte 108 is 200.0, expected a whole number from 352
          VOX_OFFSET | 0 | 352.5 | vox_offset at byte 108 is 352.5, expected a whole number
          VOX_OFFSET | 0 | NaN   | vox_offset at byte 108 is NaN, expected a whole number
          VOX_OFFSET | 0 | 1e9   | from byte 1000000000 on, more than a file of 400 bytes can hold
          MAGIC      | 1 | 0     | not a NIfTI file: magic at byte 344 is "n.1"
          """)
  void lyingFieldIsNamed(HeaderField field, int index, double value, String message)
      throws IOException {
    Path path = TestFile.ofShorts().set(field, index, value).writeTo(folder.resolve("image.nii"));
    assertThatThrownBy(() -> Nifti.open(path))
        .isInstanceOf(InvalidFileException.class)
        .hasMessageStartingWith(path.toString())
        .hasMessageContaining(message);
  }

  @Test
  void formsMustBeNumbers() throws IOException {
    Path rows =
        TestFile.ofShorts()
            .set(HeaderField.SFORM_CODE, 1)
            .set(HeaderField.SROW_Y, 3, Double.POSITIVE_INFINITY)
            .writeTo(folder.resolve("rows.nii"));
    assertThatThrownBy(() -> Nifti.open(rows))
        .isInstanceOf(InvalidFileException.class)
        .hasMessageContaining("srow_y[3] at byte 308 is Infinity");
    Path quaternion =
        TestFile.ofShorts()
            .set(HeaderField.QFORM_CODE, 1)
            .set(HeaderField.QUATERN_C, 1.5)
            .writeTo(folder.resolve("quaternion.nii"));
    assertThatThrownBy(() -> Nifti.open(quaternion))
        .isInstanceOf(InvalidFileException.class)
        .hasMessageContaining("quatern_b at byte 256");
  }

  @Test
  void slopeNeedsAFiniteIntercept() throws IOException {
    Path path =
        TestFile.ofShorts()
            .set(HeaderField.SCL_SLOPE, 2)
            .set(HeaderField.SCL_INTER, Double.NaN)
            .writeTo(folder.resolve("image.nii"));
    assertThatThrownBy(() -> Nifti.open(path))
        .isInstanceOf(InvalidFileException.class)
        .hasMessageContaining("scl_inter at byte 116 is NaN");
  }

  @Test
  void productOfDimensionsThatOverflowsIsRefused() throws IOException {
    TestFile file =
        TestFile.of(HeaderFormat.NIFTI_2, ByteOrder.LITTLE_ENDIAN, VoxelType.FLOAT64)
            .set(HeaderField.DIM, 0, 7);
    for (int axis = 1; axis <= 7; axis++) {
      file.set(HeaderField.DIM, axis, Integer.MAX_VALUE);
    }
    Path path = file.writeTo(folder.resolve("image.nii"));
    assertThatThrownBy(() -> Nifti.open(path))
        .isInstanceOf(InvalidFileException.class)
        .hasMessageContaining("more bytes than a file holds");
  }

  @ParameterizedTest
  @ValueSource(strings = {"0 0 0", "16 0 6", "1 0 0", "-32 0 6"})
  void extensionsOfWrongLengthAreRefusedOrEndTheList(String text) throws IOException {
    String[] words = text.split(" ", -1);
    int length = Integer.parseInt(words[0]);
    byte[] extension =
        ByteBuffer.allocate(4 + 16)
            .order(ByteOrder.LITTLE_ENDIAN)
            .put((byte) 1)
            .position(4)
            .putInt(length)
            .putInt(Integer.parseInt(words[2]))
            .array();
    Path path = TestFile.ofShorts().afterHeader(extension).writeTo(folder.resolve("image.nii"));
    if (length == 0) {
      assertThat(Nifti.readHeader(path).extensions()).isEmpty();
    } else if (length == 16) {
      assertThat(Nifti.readHeader(path).extensions()).containsExactly(new NiftiExtension(6, 16));
    } else {
      assertThatThrownBy(() -> Nifti.readHeader(path))
          .isInstanceOf(InvalidFileException.class)
          .hasMessageContaining("the extension at byte 352 is " + length + " bytes long");
    }
  }

  @Test
  void fileCutOffAnywhereIsRefused() throws IOException {
    byte[] whole = TestFile.ofShorts().bytes();
    Path plain = folder.resolve("image.nii");
    Path compressed = folder.resolve("image.nii.gz");
    byte[] gzip = TestFile.gzip(whole);
    for (int length = 0; length < whole.length; length++) {
      Files.write(plain, Arrays.copyOf(whole, length));
      assertThatThrownBy(() -> Nifti.open(plain)).isInstanceOf(InvalidFileException.class);
      Files.write(compressed, TestFile.gzip(Arrays.copyOf(whole, length)));
      assertThatThrownBy(() -> Nifti.open(compressed).volumes())
          .isInstanceOf(InvalidFileException.class);
    }
    for (int length = 0; length < gzip.length; length++) {
      Files.write(compressed, Arrays.copyOf(gzip, length));
      assertThatThrownBy(() -> Nifti.open(compressed).volumes())
          .isInstanceOf(InvalidFileException.class)
          .hasMessageStartingWith(compressed.toString());
    }
  }

  @Test
  void damageInGzipIsFoundByItsChecksum() throws IOException {
    byte[] content = TestFile.ofShorts().bytes();
    byte[] gzip = TestFile.gzip(content);
    gzip[gzip.length - 6] ^= 1; // in the checksum
    Path path = Files.write(folder.resolve("image.nii.gz"), gzip);
    assertThatThrownBy(() -> Nifti.open(path).volumes())
        .isInstanceOf(InvalidFileException.class)
        .hasMessageContaining("gzip stream damaged or cut off after 400 bytes");
  }

  @Test
  void gzipThatPromisesFarTooMuchIsRefusedBeforeMemoryIsTaken() throws IOException {
    TestFile file =
        TestFile.of(HeaderFormat.NIFTI_2, ByteOrder.LITTLE_ENDIAN, VoxelType.UINT8)
            .set(HeaderField.DIM, 1, 100_000)
            .set(HeaderField.DIM, 2, 10_000)
            .set(HeaderField.DIM, 3, 2);
    Path small = file.writeTo(folder.resolve("small.nii.gz"));
    assertThatThrownBy(() -> Nifti.open(small))
        .isInstanceOf(InvalidFileException.class)
        .hasMessageContaining("can hold");
    // 8 GB of floats are promised; 3 MB of noise make the promise possible, but it is not kept.
    byte[] noise = new byte[3_000_000];
    new Random(3).nextBytes(noise);
    Path large = file.voxels(noise).writeTo(folder.resolve("large.nii.gz"));
    NiftiFile opened = Nifti.open(large);
    assertThatThrownBy(opened::volumes)
        .isInstanceOf(InvalidFileException.class)
        .hasMessageContaining("ends at byte 3000544 of its content, expected voxels up to byte");
  }

  @Test
  void whatFollowsTheVoxelsIsIgnored() throws IOException {
    byte[] longer = Arrays.copyOf(TestFile.ofShorts().bytes(), 1000);
    assertThat(Nifti.open(Files.write(folder.resolve("image.nii"), longer)).volumes()).hasSize(1);
    Path compressed = Files.write(folder.resolve("image.nii.gz"), TestFile.gzip(longer));
    assertThat(Nifti.open(compressed).volumes()).hasSize(1);
  }

  @Test
  void compressionIsToldByContentNotByName() throws IOException {
    Path path = folder.resolve("compressed.nii");
    Files.write(path, TestFile.gzip(TestFile.ofShorts().bytes()));
    assertThat(Nifti.open(path).volumes()).hasSize(1);
  }

  @Test
  void missingFileIsNamed() {
    Path path = folder.resolve("none.nii.gz");
    assertThatThrownBy(() -> Nifti.open(path))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessageContaining("none.nii.gz");
    assertThatThrownBy(() -> Nifti.open(folder.resolve("none.img")))
        .isInstanceOf(InvalidFileException.class)
        .hasMessageContaining("none.hdr");
  }

  @Test
  void interruptedReadingEndsAndStaysInterrupted() throws IOException {
    NiftiFile file = Nifti.open(TestFile.ofShorts().writeTo(folder.resolve("image.nii.gz")));
    Thread.currentThread().interrupt();
    try {
      assertThatThrownBy(file::volumes).isInstanceOf(InterruptedIOException.class);
    } finally {
      assertThat(Thread.interrupted()).isTrue();
    }
  }

  @ParameterizedTest
  @CsvSource({"NIFTI_1, UINT8", "NIFTI_1, FLOAT32", "NIFTI_2, INT16", "NIFTI_2, COMPLEX64"})
  void changedBytesGiveAResultOrARefusal(HeaderFormat format, VoxelType type) throws IOException {
    byte[] whole =
        TestFile.of(format, ByteOrder.LITTLE_ENDIAN, type)
            .set(HeaderField.SFORM_CODE, 1)
            .set(HeaderField.SROW_X, 0, 1)
            .set(HeaderField.SROW_Y, 1, 1)
            .set(HeaderField.SROW_Z, 2, 1)
            .afterHeader(new byte[] {1, 0, 0, 0, 16, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
            .bytes();
    Random random = new Random(format.bytes() * 31L + type.code());
    Path path = folder.resolve("image.nii");
    int accepted = 0;
    for (int round = 0; round < 800; round++) {
      byte[] changed = whole.clone();
      int changes = 1 + random.nextInt(3);
      for (int i = 0; i < changes; i++) {
        changed[random.nextInt(changed.length)] = (byte) random.nextInt();
      }
      Files.write(path, round % 4 == 0 ? TestFile.gzip(changed) : changed);
      accepted += readsOrIsRefused(path) ? 1 : 0;
    }
    assertThat(accepted).isPositive();
  }

  @Test
  void changedBytesOfGzipGiveAResultOrARefusal() throws IOException {
    byte[] whole = TestFile.gzip(TestFile.ofShorts().bytes());
    Random random = new Random(11);
    Path path = folder.resolve("image.nii.gz");
    for (int round = 0; round < 800; round++) {
      byte[] changed = whole.clone();
      changed[random.nextInt(changed.length)] ^= (byte) (1 << random.nextInt(8));
      Files.write(path, changed);
      readsOrIsRefused(path);
    }
  }

  /** Anything thrown but a refusal of the file fails the test. */
  private static boolean readsOrIsRefused(Path path) throws IOException {
    try {
      NiftiFile file = Nifti.open(path);
      ImageSummary summary = file.summary();
      assertThat(summary.axisCodes()).hasSize(3);
      file.header().geometryWarnings();
      if (file.header().voxelType().isScalar()) {
        file.volumes();
      }
      return true;
    } catch (InvalidFileException e) {
      assertThat(e).hasMessageStartingWith(path.toString());
      return false;
    }
  }
}
