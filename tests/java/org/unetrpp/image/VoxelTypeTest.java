package org.unetrpp.image;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class VoxelTypeTest {
  @TempDir private Path folder;

  static Stream<Arguments> scalarFiles() {
    List<Arguments> cases = new ArrayList<>();
    for (HeaderFormat format : List.of(HeaderFormat.NIFTI_1, HeaderFormat.NIFTI_2)) {
      for (ByteOrder order : List.of(ByteOrder.LITTLE_ENDIAN, ByteOrder.BIG_ENDIAN)) {
        for (VoxelType type : VoxelType.values()) {
          if (type.isScalar()) {
            cases.add(Arguments.of(format, order, type));
          }
        }
      }
    }
    return cases.stream();
  }

  @ParameterizedTest(name = "{0}, {1}, {2}")
  @MethodSource("scalarFiles")
  void everyScalarTypeIsReadInBothOrdersAndFormats(
      HeaderFormat format, ByteOrder order, VoxelType type) throws IOException {
    TestFile file = TestFile.of(format, order, type);
    double[] expected = fill(file.voxelBuffer(), type);
    Path path = file.writeTo(folder.resolve("image.nii"));

    NiftiFile opened = Nifti.open(path);
    float[] voxels = opened.volumes().getFirst().voxels();
    for (int i = 0; i < expected.length; i++) {
      assertThat(voxels[i]).isEqualTo((float) expected[i]);
    }
    assertThat(voxels[expected.length]).isZero();
    assertThat(opened.header().format()).isEqualTo(format);
    assertThat(opened.header().byteOrder()).isEqualTo(order);
    assertThat(opened.summary().statistics())
        .isEqualTo(
            new VoxelStatistics.Real(
                Math.min(expected[0], 0), expected[1], expected[0] + expected[1], 0));
  }

  @Test
  void unsigned64BitIntegersAreRoundedOnce() throws IOException {
    TestFile file = TestFile.of(HeaderFormat.NIFTI_1, ByteOrder.LITTLE_ENDIAN, VoxelType.UINT64);
    // One above the tie between 2^63 and the next double: rounds up only if no bit got lost.
    file.voxelBuffer().putLong((1L << 63) | (1L << 10) | 1).putLong((1L << 63) | (1L << 10));
    Path path = file.writeTo(folder.resolve("image.nii"));
    VoxelStatistics.Real statistics =
        (VoxelStatistics.Real) Nifti.open(path).summary().statistics();
    assertThat(statistics.max()).isEqualTo(0x1p63 + 0x1p11);
  }

  @ParameterizedTest(name = "{0} {1}: {2}")
  @CsvSource({
    "INT16, LITTLE_ENDIAN, int16", "INT16, BIG_ENDIAN, >i2", "UINT8, BIG_ENDIAN, uint8",
    "UINT64, BIG_ENDIAN, >u8", "FLOAT32, BIG_ENDIAN, >f4", "COMPLEX128, BIG_ENDIAN, >c16",
    "RGB24, BIG_ENDIAN, rgb24", "COMPLEX64, LITTLE_ENDIAN, complex64"
  })
  void labelIsThatOfNumPy(VoxelType type, String order, String label) {
    ByteOrder byteOrder =
        order.equals("BIG_ENDIAN") ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN;
    assertThat(type.label(byteOrder)).isEqualTo(label);
  }

  @Test
  void statisticsOfColorsAreOverTheirBytesAndUnscaled() throws IOException {
    TestFile file =
        TestFile.of(HeaderFormat.NIFTI_1, ByteOrder.BIG_ENDIAN, VoxelType.RGBA32)
            .set(HeaderField.SCL_SLOPE, 2);
    file.voxelBuffer().put(new byte[] {1, 2, 3, (byte) 255});
    Path path = file.writeTo(folder.resolve("image.nii.gz"));
    assertThat(Nifti.open(path).summary().statistics())
        .isEqualTo(new VoxelStatistics.Real(0, 255, 261, 0));
  }

  @Test
  void complexNumbersAreScaledWithTheInterceptOnTheRealPart() throws IOException {
    TestFile file =
        TestFile.of(HeaderFormat.NIFTI_2, ByteOrder.BIG_ENDIAN, VoxelType.COMPLEX128)
            .set(HeaderField.SCL_SLOPE, 2)
            .set(HeaderField.SCL_INTER, 1);
    file.voxelBuffer().putDouble(1).putDouble(2);
    Path path = file.writeTo(folder.resolve("image.nii"));
    // 3 + 4i once, 1 for the other 23.
    assertThat(Nifti.open(path).summary().statistics())
        .isEqualTo(new VoxelStatistics.Complex(1, 5, 26, 4, 0));
  }

  @Test
  void nonFiniteVoxelsAreKeptAndCounted() throws IOException {
    TestFile file = TestFile.of(HeaderFormat.NIFTI_1, ByteOrder.LITTLE_ENDIAN, VoxelType.FLOAT32);
    file.voxelBuffer().putFloat(Float.NaN).putFloat(Float.NEGATIVE_INFINITY).putFloat(-3);
    NiftiFile opened = Nifti.open(file.writeTo(folder.resolve("image.nii")));
    assertThat(opened.summary().statistics()).isEqualTo(new VoxelStatistics.Real(-3, 0, -3, 2));
    assertThat(opened.volumes().getFirst().voxels())
        .startsWith(Float.NaN, Float.NEGATIVE_INFINITY, -3);
  }

  /** Stores the smallest and the largest number of a type, or numbers that need all its bits. */
  private static double[] fill(ByteBuffer buffer, VoxelType type) {
    switch (type) {
      case UINT8 -> buffer.put((byte) 1).put((byte) 255);
      case INT8 -> buffer.put((byte) -128).put((byte) 127);
      case UINT16 -> buffer.putShort((short) 1).putShort((short) 65535);
      case INT16 -> buffer.putShort((short) -32768).putShort((short) 32767);
      case UINT32 -> buffer.putInt(1).putInt(-1);
      case INT32 -> buffer.putInt(Integer.MIN_VALUE).putInt(Integer.MAX_VALUE);
      case UINT64 -> buffer.putLong(1).putLong(-1);
      case INT64 -> buffer.putLong(Long.MIN_VALUE).putLong(1L << 62);
      case FLOAT32 -> buffer.putFloat(-1.5e-40f).putFloat(3.1415927f);
      case FLOAT64 -> buffer.putDouble(-1e300).putDouble(Math.PI);
      default -> throw new IllegalArgumentException(type + " is not scalar");
    }
    return switch (type) {
      case UINT8 -> new double[] {1, 255};
      case INT8 -> new double[] {-128, 127};
      case UINT16 -> new double[] {1, 65535};
      case INT16 -> new double[] {-32768, 32767};
      case UINT32 -> new double[] {1, 4294967295.0};
      case INT32 -> new double[] {-0x1p31, 0x1p31 - 1};
      case UINT64 -> new double[] {1, 0x1p64};
      case INT64 -> new double[] {-0x1p63, 0x1p62};
      case FLOAT32 -> new double[] {-1.5e-40f, 3.1415927f};
      default -> new double[] {-1e300, Math.PI};
    };
  }
}
