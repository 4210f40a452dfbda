package org.unetrpp.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.grid.Extents;

class NiftiWriteTest {
  private static final NiftiCases CASES = NiftiCases.ofResources();

  @TempDir private Path folder;

  @ParameterizedTest(name = "{0} to {1}")
  @CsvSource({
    "nibabel/anatomical.nii, labels.nii", // big endian
    "nibabel/example_nifti2.nii.gz, labels.nii.gz", // NIfTI-2, 4-D, extensions
    "nibabel/functional.nii, labels.nii.gz", // scaled
    "nifti-reader-js/big.nii.gz, labels.nii.gz", // qform only
    "nifti-reader-js/5D_small.nii, labels.nii", // five dimensions
    "nifti-reader-js/air.hdr.gz, labels.nii.gz", // pair
    "oro-nifti/avg152T1.hdr.gz, labels.nii.gz", // Analyze
    "niivue/complex_image.nii.gz, labels.nii.gz", // neither form
    "niivue/lesion.nii.gz, labels.hdr.gz",
    "dipy/S0_10slices.nii.gz, labels.img", // sheared
    "orientations/IPL.nii.gz, labels.nii.gz"
  })
  void labelsKeepTheSpaceOfTheirImageToTheLastBit(String source, String target) throws IOException {
    NiftiHeader like = Nifti.readHeader(CASES.path(source));
    LabelVolume labels = randomLabels(like.geometry());
    Path path = folder.resolve(target);
    Nifti.writeLabels(path, labels, like);

    NiftiFile written = Nifti.open(path);
    assertThat(LabelVolume.of(written.volumes().getFirst()).labels()).isEqualTo(labels.labels());
    NiftiHeader header = written.header();
    assertThat(header.geometry()).isEqualTo(like.geometry());
    assertThat(header.voxelType()).isEqualTo(VoxelType.UINT8);
    assertThat(header.shape()).hasSize(3);
    assertThat(header.extensions()).isEqualTo(like.extensions());
    assertThat(header.extensionBytes()).isEqualTo(like.extensionBytes());
    assertThat(header.description()).isEqualTo(like.description());
    assertThat(header.slope()).isEqualTo(1);
    assertThat(header.intercept()).isZero();
    if (like.format() != HeaderFormat.ANALYZE) {
      assertThat(header.format()).isEqualTo(like.format());
      assertThat(header.byteOrder()).isEqualTo(like.byteOrder());
      assertThat(header.qformCode()).isEqualTo(like.qformCode());
      assertThat(header.sformCode()).isEqualTo(like.sformCode());
    }
  }

  @Test
  void whatDescribesOtherValuesIsCleared() throws IOException {
    TestFile source =
        TestFile.ofShorts()
            .set(HeaderField.CAL_MAX, 300)
            .set(HeaderField.CAL_MIN, -200)
            .set(HeaderField.INTENT_CODE, 5)
            .set(HeaderField.INTENT_P1, 7)
            .set(HeaderField.SCL_SLOPE, 3)
            .set(HeaderField.XYZT_UNITS, 10);
    NiftiHeader like = Nifti.readHeader(source.writeTo(folder.resolve("image.nii")));
    Path path = folder.resolve("labels.nii");
    Nifti.writeLabels(path, randomLabels(like.geometry()), like);

    HeaderBytes header = Nifti.readHeader(path).copyBytes();
    for (HeaderField cleared :
        List.of(
            HeaderField.CAL_MAX,
            HeaderField.CAL_MIN,
            HeaderField.INTENT_CODE,
            HeaderField.INTENT_P1)) {
      assertThat(header.real(cleared)).as(cleared.toString()).isZero();
    }
    assertThat(header.real(HeaderField.SCL_SLOPE)).isEqualTo(1);
    assertThat(header.whole(HeaderField.XYZT_UNITS)).isEqualTo(10);
  }

  @Test
  void extensionsAreKeptByteForByte() throws IOException {
    ByteBuffer extension = ByteBuffer.allocate(4 + 32).order(ByteOrder.LITTLE_ENDIAN);
    extension.put((byte) 1).position(4);
    extension.putInt(32).putInt(6).put("who made it".getBytes(StandardCharsets.UTF_8));
    NiftiHeader like =
        Nifti.readHeader(
            TestFile.ofShorts()
                .afterHeader(extension.array())
                .writeTo(folder.resolve("image.nii")));
    Path path = folder.resolve("labels.nii");
    Nifti.writeLabels(path, randomLabels(like.geometry()), like);

    assertThat(Nifti.readHeader(path).extensions()).containsExactly(new NiftiExtension(6, 32));
    byte[] written = Files.readAllBytes(path);
    assertThat(ByteBuffer.wrap(written, 348, 36).slice())
        .isEqualTo(ByteBuffer.wrap(extension.array()));
  }

  @ParameterizedTest
  @ValueSource(strings = {"p.nii", "p.nii.gz", "p.hdr", "p.img.gz"})
  void manyVolumesBecomeTheFourthAxis(String target) throws IOException {
    NiftiHeader like = Nifti.readHeader(CASES.path("nibabel/anatomical.nii"));
    List<Volume> volumes =
        Stream.of(1L, 2L, 3L).map(seed -> randomVolume(like.geometry(), seed)).toList();
    Path path = folder.resolve(target);
    Nifti.writeVolumes(path, volumes, like, VoxelType.FLOAT32);

    NiftiFile written = Nifti.open(path);
    assertThat(written.shape()).containsExactly(33, 41, 25, 3);
    assertThat(written.header().affine()).isEqualTo(like.affine());
    List<Volume> read = written.volumes();
    for (int i = 0; i < volumes.size(); i++) {
      assertThat(read.get(i).voxels()).isEqualTo(volumes.get(i).voxels());
    }
  }

  @Test
  void volumeIsWrittenAsShortsIfAsked() throws IOException {
    Geometry geometry = new Geometry(new Extents(1, 2, 3), Affine.ofSpacing(new Spacing(1, 1, 1)));
    Volume volume = new Volume(geometry, new float[] {-32768, 32767, 0.5f, 1.5f, -0.5f, 7});
    Path path = folder.resolve("image.nii.gz");
    Nifti.writeVolumes(path, List.of(volume), NiftiHeader.of(geometry), VoxelType.INT16);
    assertThat(Nifti.open(path).summary().voxelType()).isEqualTo("int16");
    assertThat(Nifti.open(path).volumes().getFirst().voxels())
        .containsExactly(-32768, 32767, 0, 2, 0, 7);
  }

  @ParameterizedTest
  @CsvSource({"INT16, 32768", "INT16, NaN", "UINT8, -1", "UINT8, 255.6"})
  void intensityBeyondTheTypeIsRefusedAndNothingWritten(VoxelType type, float intensity)
      throws IOException {
    Geometry geometry = new Geometry(new Extents(1, 1, 2), Affine.ofSpacing(new Spacing(1, 1, 1)));
    Volume volume = new Volume(geometry, new float[] {0, intensity});
    assertThatIllegalArgumentException()
        .isThrownBy(() ->
            Nifti.writeVolumes(
                folder.resolve("image.nii.gz"), List.of(volume), NiftiHeader.of(geometry), type))
        .withMessageContaining("voxel 1");
    assertThat(filesIn(folder)).isEmpty();
  }

  @Test
  void headerOfAGeometryHoldsIt() throws IOException {
    Affine affine = Affine.ofRows(-0.75, 0, 0, 90, 0, -0.75, 0.5, 80, 0, 0.25, 4, -1000.5);
    Geometry geometry = new Geometry(new Extents(2, 3, 40000), new Spacing(4, 0.8, 0.75), affine);
    NiftiHeader header = NiftiHeader.of(geometry);
    assertThat(header.format()).isEqualTo(HeaderFormat.NIFTI_2);
    assertThat(header.geometry()).isEqualTo(geometry);
    Path path = folder.resolve("image.nii");
    Nifti.writeVolume(path, randomVolume(geometry, 1), header);
    assertThat(Nifti.open(path).volumes().getFirst().geometry()).isEqualTo(geometry);
  }

  @Test
  void labelsOnAnotherGridAreRefused() throws IOException {
    NiftiHeader like = Nifti.readHeader(CASES.path("nibabel/anatomical.nii"));
    Geometry moved =
        new Geometry(like.geometry().extents(), Affine.ofSpacing(new Spacing(2, 2, 2)));
    assertThatIllegalArgumentException()
        .isThrownBy(
            () -> Nifti.writeLabels(folder.resolve("labels.nii"), randomLabels(moved), like))
        .withMessageContaining("affine");
  }

  @ParameterizedTest
  @ValueSource(strings = {"labels", "labels.gz", "labels.mha", "labels.nii.bz2"})
  void nameThatIsNoImageIsRefused(String name) throws IOException {
    NiftiHeader like = Nifti.readHeader(CASES.path("nibabel/anatomical.nii"));
    assertThatIllegalArgumentException()
        .isThrownBy(
            () -> Nifti.writeLabels(folder.resolve(name), randomLabels(like.geometry()), like))
        .withMessageContaining(".nii.gz");
  }

  @Test
  void failureHalfWayLeavesTheFileAsItWas() throws IOException {
    Path path = folder.resolve("labels.nii.gz");
    Files.writeString(path, "as it was");
    NiftiHeader like = Nifti.readHeader(CASES.path("nibabel/anatomical.nii"));
    NiftiWriter writer = new NiftiWriter(like, VoxelType.UINT8, 1);
    assertThatThrownBy(() ->
            writer.write(
                path,
                out -> {
                  out.write(new byte[3_000_000]);
                  throw new IOException("No space left on device");
                }))
        .isInstanceOf(IOException.class)
        .hasMessage(path + ": cannot be written: No space left on device");
    assertThat(filesIn(folder)).containsExactly(path);
    assertThat(path).hasContent("as it was");
  }

  @Test
  void labelsMustBeWholeAndFitAByte() {
    Geometry geometry = new Geometry(new Extents(1, 1, 2), Affine.ofSpacing(new Spacing(1, 1, 1)));
    for (float value : new float[] {0.5f, -1, 256, Float.NaN}) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> LabelVolume.of(new Volume(geometry, new float[] {255, value})))
          .withMessageContaining("voxel 1");
    }
  }

  @Test
  void gzipIsOneMemberWhoseBytesDoNotDependOnThreads() throws IOException {
    byte[] content = new byte[(1 << 21) + 12345];
    Random random = new Random(1);
    random.nextBytes(content); // cannot be compressed: the largest output of a block
    Arrays.fill(content, 1 << 20, 3 << 19, (byte) 5);
    byte[] single = compress(content, 1);
    assertThat(compress(content, 4)).isEqualTo(single);
    assertThat(compress(content, 3)).isEqualTo(single);
    try (GZIPInputStream gzip = new GZIPInputStream(new ByteArrayInputStream(single))) {
      assertThat(gzip.readAllBytes()).isEqualTo(content);
    }
  }

  @Test
  void gzipOfNothingIsValid() throws IOException {
    try (GZIPInputStream gzip =
        new GZIPInputStream(new ByteArrayInputStream(compress(new byte[0], 2)))) {
      assertThat(gzip.readAllBytes()).isEmpty();
    }
  }

  private static byte[] compress(byte[] content, int threads) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (ParallelGzip gzip = new ParallelGzip(out, threads)) {
      int half = content.length / 2;
      gzip.write(content, 0, half);
      if (half < content.length) {
        gzip.write(content[half]);
        gzip.write(content, half + 1, content.length - half - 1);
      }
      gzip.finish();
    }
    return out.toByteArray();
  }

  private static LabelVolume randomLabels(Geometry geometry) {
    byte[] labels = new byte[Math.toIntExact(geometry.extents().voxels())];
    new Random(7).nextBytes(labels);
    return new LabelVolume(geometry, labels);
  }

  private static Volume randomVolume(Geometry geometry, long seed) {
    Random random = new Random(seed);
    float[] voxels = new float[Math.toIntExact(geometry.extents().voxels())];
    for (int i = 0; i < voxels.length; i++) {
      voxels[i] = (float) random.nextGaussian();
    }
    return new Volume(geometry, voxels);
  }

  private static List<Path> filesIn(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList();
    }
  }
}
