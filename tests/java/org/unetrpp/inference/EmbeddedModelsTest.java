package org.unetrpp.inference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unetrpp.engine.Device;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.image.Volume;
import org.unetrpp.pipeline.Mirroring;
import org.unetrpp.pipeline.SlidingWindow;
import org.unetrpp.testing.ModelFolder;
import org.unetrpp.testing.SmallModel;
import org.unetrpp.weights.StoredTensor;

class EmbeddedModelsTest {
  private static final String RESOURCE = "org/unetrpp/models/hippocampus.safetensors";

  @TempDir Path folder;
  private Path model;

  @BeforeEach
  void writeModel() throws IOException {
    model = SmallModel.write(ModelFolder.model(folder, EmbeddedModels.DEFAULT), 1);
  }

  @Test
  void modelInAFolderIsOpenedByItsName() throws IOException {
    try (URLClassLoader loader = ModelFolder.loader(folder)) {
      assertIsTheModel(EmbeddedModels.of(loader));
    }
  }

  @Test
  void modelInAJarIsOpenedByItsName() throws IOException {
    Path jar = folder.resolve("models.jar");
    try (OutputStream out = Files.newOutputStream(jar);
        JarOutputStream entries = new JarOutputStream(out)) {
      entries.putNextEntry(new JarEntry(RESOURCE));
      Files.copy(model, entries);
    }
    try (URLClassLoader loader = ModelFolder.loader(jar)) {
      assertIsTheModel(EmbeddedModels.of(loader));
    }
  }

  private static void assertIsTheModel(EmbeddedModels models) throws IOException {
    assertThat(models.names()).containsExactly("hippocampus");
    assertThat(models.contains("hippocampus")).isTrue();
    assertThat(models.contains("liver")).isFalse();
    try (ModelFile file = models.open("hippocampus")) {
      assertThat(file.description()).isEqualTo(SmallModel.description(1));
      assertThat(file.tensors().values())
          .extracting(StoredTensor::sha256)
          .containsExactlyElementsOf(
              SmallModel.tensors(SmallModel.architecture(1)).stream()
                  .map(StoredTensor::sha256)
                  .toList());
    }
  }

  @Test
  void classPathWithoutModelsHasNoNames() throws IOException {
    Files.delete(model);
    try (URLClassLoader loader = ModelFolder.loader(folder)) {
      EmbeddedModels models = EmbeddedModels.of(loader);
      assertThat(models.names()).isEmpty();
      assertThatThrownBy(() -> models.open("hippocampus").close())
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("embedded model 'hippocampus', expected one of []");
    }
  }

  @Test
  void everyModelOfThisBuildOpens() throws IOException {
    EmbeddedModels models = EmbeddedModels.ofThisBuild();
    for (String name : models.names()) {
      try (ModelFile file = models.open(name)) {
        assertThat(file.description().provenance().attribution()).isNotNull();
      }
    }
  }

  @Test
  void damagedModelIsRefusedByItsResource() throws IOException {
    byte[] content = Files.readAllBytes(model);
    for (int length : new int[] {0, 7, 1000, content.length - 1}) {
      Files.write(model, Arrays.copyOf(content, length));
      assertRefused(RESOURCE + ": ");
    }
    content[8] = 'x'; // the first of the header
    Files.write(model, content);
    assertRefused(RESOURCE + ": the header is not the JSON it should be");
    Files.write(model, new byte[(16 << 20) + 1]);
    assertRefused(RESOURCE + ": has more than 16777216 bytes, the most of an embedded model");
  }

  private void assertRefused(String problem) throws IOException {
    try (URLClassLoader loader = ModelFolder.loader(folder)) {
      assertThatThrownBy(() -> EmbeddedModels.of(loader).open("hippocampus").close())
          .isInstanceOf(InvalidFileException.class)
          .hasMessageStartingWith(problem);
    }
  }

  @Test
  void segmentationIsThatOfTheFile() throws IOException {
    List<Volume> image = List.of(SmallModel.image("image", 16, 32, 32));
    SegmentationOptions options =
        SegmentationOptions.PUBLISHED.withWindow(new SlidingWindow.Settings(1, Mirroring.NONE));
    byte[] expected;
    try (Segmenter segmenter = Segmenter.open(model, new Device.Cpu(), 2)) {
      expected = segmenter.segment(image, options).labels();
    }
    try (URLClassLoader loader = ModelFolder.loader(folder);
        Segmenter segmenter = open(EmbeddedModels.of(loader))) {
      assertThat(segmenter.segment(image, options).labels()).isEqualTo(expected);
    }
  }

  @MustBeClosed
  private static Segmenter open(EmbeddedModels models) throws IOException {
    try (ModelFile file = models.open("hippocampus")) {
      return Segmenter.open(file, new Device.Cpu(), 2);
    } // the weights were copied, so the file may be closed
  }
}
