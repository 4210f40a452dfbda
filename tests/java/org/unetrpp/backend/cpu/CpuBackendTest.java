package org.unetrpp.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.MatrixView;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PairedAttentionParameters.Concatenation;
import org.unetrpp.backend.PairedAttentionParameters.Projection;
import org.unetrpp.backend.PatchEmbeddingParameters;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.UpsampleParameters;
import org.unetrpp.backend.cpu.Primitives.Epilogue;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.DeviceMemoryException;

class CpuBackendTest {
  /** One of each box, and a long sum. */
  private static List<float[]> results(CpuBackend backend) {
    List<float[]> results = new ArrayList<>();
    Extents stride = new Extents(2, 4, 4);
    Grid full = new Grid(2, stride.times(new Extents(4, 6, 5)));
    Grid patches = full.dividedBy(stride);
    try (var _ = backend.scopes().open()) {
      Case random = new Case(backend, 5);
      Buffer image = random.random(full.rows(), 1);
      Buffer tokens = random.poisoned(patches.rows() * 32);
      backend
          .boxes()
          .patchEmbedding(
              image,
              new PatchEmbeddingParameters(
                  "stem",
                  Convolution.patches(1, 32, stride),
                  random.random(32L * 32, 0.2),
                  1,
                  random.random(32, 1),
                  random.random(32, 1)),
              tokens,
              full);
      Buffer attended = random.poisoned(tokens.elements());
      backend
          .boxes()
          .pairedAttention(tokens, attention(random, 32, 4, patches.tokens(), 64), attended, 2);
      ChannelNorm instance = new ChannelNorm.Instance();
      Buffer features = random.poisoned(full.rows() * 16);
      backend
          .boxes()
          .residualBlock(
              image,
              new ResidualBlockParameters(
                  "encoder1",
                  1,
                  16,
                  random.random(27L * 16, 0.2),
                  instance,
                  random.random(27L * 256, 0.1),
                  instance,
                  random.random(16, 1),
                  null),
              null,
              features,
              full);
      Buffer decoded = random.poisoned(features.elements());
      backend
          .boxes()
          .upsample(
              attended,
              new UpsampleParameters("up", 32, 16, stride, random.random(32L * 32 * 16, 0.2)),
              features,
              decoded,
              patches);
      Buffer classes = random.poisoned(full.rows() * 5);
      backend
          .boxes()
          .head(
              decoded,
              new HeadParameters("out", 16, 5, random.random(80, 1), random.random(5, 1)),
              HeadOutput.PROBABILITIES,
              classes,
              full);
      Buffer products = random.poisoned(16 * 16);
      int rows = Math.toIntExact(full.rows());
      MatrixView voxels = new MatrixView(decoded, 0, rows, 16, 16);
      backend.matrixProduct(voxels, true, voxels, false, MatrixView.of(products, 16), false);
      for (Buffer buffer : List.of(tokens, attended, features, decoded, classes, products)) {
        results.add(backend.download(buffer));
      }
    }
    return results;
  }

  private static PairedAttentionParameters attention(
      Case random, int channels, int heads, int tokens, int projected) {
    int half = channels / 2;
    return new PairedAttentionParameters(
        "block",
        channels,
        heads,
        tokens,
        projected,
        random.random((long) tokens * channels, 0.5),
        random.upload(random.around(1, channels)),
        random.random(channels, 0.2),
        random.random(channels, 1),
        random.upload(random.around(2, heads)),
        random.upload(random.around(2, heads)),
        random.random(4L * channels * channels, 0.3),
        projection(random, "E", tokens, projected),
        projection(random, "F", tokens, projected),
        new Concatenation(
            random.random((long) half * channels, 0.3),
            random.random(half, 0.5),
            random.random((long) half * channels, 0.3),
            random.random(half, 0.5)));
  }

  private static Projection projection(Case random, String name, int tokens, int projected) {
    Buffer weight = random.random((long) projected * tokens, 0.1);
    return new Projection(name, weight, false, random.random(projected, 0.5));
  }

  @ParameterizedTest(name = "{0} threads")
  @ValueSource(ints = {2, 3, 5})
  void resultsAreTheSameBytesForAnyNumberOfThreads(int threads) {
    try (CpuBackend one = new CpuBackend(1);
        CpuBackend many = new CpuBackend(threads)) {
      List<float[]> expected = results(one);
      List<float[]> actual = results(many);
      for (int i = 0; i < expected.size(); i++) {
        assertThat(actual.get(i)).isEqualTo(expected.get(i));
      }
      assertThat(many.capabilities().threads()).isEqualTo(threads);
    }
  }

  @Test
  void composedBoxesToo() {
    try (CpuBackend one = CpuBackend.composed(1);
        CpuBackend many = CpuBackend.composed(3)) {
      List<float[]> expected = results(one);
      List<float[]> actual = results(many);
      for (int i = 0; i < expected.size(); i++) {
        assertThat(actual.get(i)).isEqualTo(expected.get(i));
      }
    }
  }

  @Test
  void twoBackendsWorkAtTheSameTimeOnThreadsOfTheirOwn() throws Exception {
    try (CpuBackend first = new CpuBackend(2);
        CpuBackend second = new CpuBackend(3);
        ExecutorService threads = Executors.newFixedThreadPool(2)) {
      Future<List<float[]>> one = threads.submit(() -> results(first));
      Future<List<float[]>> two = threads.submit(() -> results(second));
      for (int i = 0; i < one.get().size(); i++) {
        assertThat(one.get().get(i)).isEqualTo(two.get().get(i));
      }
      List<float[]> here = results(first); // driven by another thread now
      for (int i = 0; i < here.size(); i++) {
        assertThat(here.get(i)).isEqualTo(one.get().get(i));
      }
    }
  }

  @Test
  void aRepeatedForwardTakesNoMemoryFromTheSystem() {
    try (CpuBackend backend = new CpuBackend(1)) {
      results(backend);
      long workspace = backend.workspaceBytes();
      long activations = backend.bytesHeld();
      results(backend);
      assertThat(backend.workspaceBytes()).isEqualTo(workspace);
      assertThat(backend.bytesHeld()).isEqualTo(activations);
      assertThat(backend.allocator().bytesInUse()).isZero();
    }
  }

  @Test
  void closingTellsOfBuffersNeverReleased() {
    CpuBackend backend = new CpuBackend(1);
    backend.allocator().allocate(1000);
    assertThatThrownBy(backend::close)
        .isInstanceOf(DeviceMemoryException.class)
        .hasMessage("1024 bytes of host memory were never released");
    backend.close();
  }

  @Test
  void saysWhatItIs() {
    try (CpuBackend backend = new CpuBackend(2)) {
      assertThat(backend.name()).isEqualTo("cpu");
      assertThat(backend.computeType()).isEqualTo(DType.FLOAT32);
      assertThat(backend.capabilities().oneDnnVersion()).matches("3\\.\\d+\\.\\d+");
      assertThat(backend.capabilities().instructionSet()).isNotEmpty();
    }
  }

  @ParameterizedTest(name = "{0}->{1}, kernel {2}, at {3}x{4}x{5}")
  @CsvSource({
    "1, 16, 3, 64, 128, 128",
    "4, 16, 3, 128, 128, 128",
    "16, 16, 3, 64, 128, 128",
    "32, 32, 3, 32, 32, 32",
    "64, 64, 3, 8, 20, 20",
    "128, 128, 3, 8, 8, 8",
    "256, 256, 3, 2, 5, 5",
    "32, 32, 1, 32, 32, 32",
    "256, 256, 1, 4, 4, 4"
  })
  @EnabledIfSystemProperty(named = "os.arch", matches = "amd64|x86_64")
  void convolutionsOfTheNetworkRunOnGeneratedCode(
      int in, int out, int kernel, int d, int h, int w) {
    Extents extents = new Extents(d, h, w);
    Convolution shape = kernel == 3 ? Convolution.same3(in, out) : Convolution.pointwise(in, out);
    try (CpuBackend backend = new CpuBackend(1)) {
      for (Epilogue epilogue :
          List.of(
              Epilogue.NONE,
              new Epilogue(true, false, 0.01f),
              new Epilogue(true, true, 0.01f),
              new Epilogue(true, true, 1))) {
        assertThat(backend.convolution(shape, extents, epilogue).implementations())
            .allMatch(name -> name.matches("(winograd|brg|jit).*"), "generated");
      }
    }
  }
}
