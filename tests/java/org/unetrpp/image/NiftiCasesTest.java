package org.unetrpp.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class NiftiCasesTest {
  /** A folder with more files and their expected.json: -Dnifti.cases=FOLDER. */
  private static final String MORE_CASES = "nifti.cases";

  static Stream<String> names() {
    return NiftiCases.ofResources().names();
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("names")
  void fileReadsAsExpected(String name) throws IOException {
    NiftiCases.ofResources().verify(name);
  }

  @Test
  void everyFileOfTheFolderGivenReadsAsExpected() throws IOException {
    String folder = System.getProperty(MORE_CASES);
    assumeTrue(folder != null, "no folder given with -D" + MORE_CASES + "=FOLDER");
    NiftiCases cases = NiftiCases.of(Path.of(folder));
    List<String> verified = new ArrayList<>();
    for (String name : cases.names().toList()) {
      cases.verify(name);
      verified.add(name);
    }
    assertThat(verified).isNotEmpty();
  }

  @Test
  void bothByteOrdersGiveTheSameVoxels() throws IOException {
    NiftiCases cases = NiftiCases.ofResources();
    Volume big = Nifti.open(cases.path("nifti-reader-js/big.nii.gz")).volumes().getFirst();
    Volume little = Nifti.open(cases.path("nifti-reader-js/little.nii.gz")).volumes().getFirst();
    assertThat(big.voxels()).isEqualTo(little.voxels());
    assertThat(big.geometry()).isEqualTo(little.geometry());
  }

  @Test
  void eitherFileOfAPairMayBeNamed() throws IOException {
    NiftiCases cases = NiftiCases.ofResources();
    Volume fromHeader = Nifti.open(cases.path("nifti-reader-js/air.hdr.gz")).volumes().getFirst();
    Volume fromImage = Nifti.open(cases.path("nifti-reader-js/air.img.gz")).volumes().getFirst();
    assertThat(fromImage.voxels()).isEqualTo(fromHeader.voxels());
    assertThat(fromImage.geometry()).isEqualTo(fromHeader.geometry());
  }

  @Test
  void shearedAxesAreWarnedOf() throws IOException {
    NiftiCases cases = NiftiCases.ofResources();
    assertThat(Nifti.readHeader(cases.path("dipy/S0_10slices.nii.gz")).geometryWarnings())
        .singleElement()
        .asString()
        .contains("not perpendicular");
    assertThat(Nifti.readHeader(cases.path("dipy/aniso_vox.nii.gz")).geometryWarnings()).isEmpty();
  }
}
