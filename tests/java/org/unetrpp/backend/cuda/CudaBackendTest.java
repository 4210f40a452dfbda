package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** What the CUDA backend does beyond its primitives. */
class CudaBackendTest {
  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void parametersAreFloat32InEveryPrecision(DType type) {
    try (CudaBackend backend = EmulatedCuda.open(type)) {
      assertThat(backend.computeType()).isEqualTo(type);
      assertThat(backend.parameterType()).isEqualTo(DType.FLOAT32);
      assertThat(backend.name()).isEqualTo("cuda:0");
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT64", "FLOAT16"})
  void rejectsAPrecisionThatItDoesNotHave(DType type) {
    assertThatThrownBy(() -> EmulatedCuda.open(type))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("compute type is " + type);
  }

  @Test
  void valuesAreRoundedToTheTypeOfTheirBuffer() {
    try (CudaBackend backend = EmulatedCuda.open(DType.BFLOAT16);
        var _ = backend.scopes().open()) {
      Buffer coarse = backend.scopes().allocate(DType.BFLOAT16, 3);
      Buffer fine = backend.scopes().allocate(DType.FLOAT32, 3);
      float[] values = {1.001f, -3.1415927f, 1e30f};
      backend.upload(values, coarse);
      backend.upload(values, fine);
      assertThat(backend.download(coarse)).containsExactly(1, -3.140625f, 1.00025555e30f);
      assertThat(backend.download(fine)).isEqualTo(values);
      assertThat(backend.downloadDouble(fine)).containsExactly(1.001f, -3.1415927f, 1e30f);
    }
  }

  @Test
  void rejectsValuesOfAnotherCount() {
    try (CudaBackend backend = EmulatedCuda.open(DType.BFLOAT16);
        var _ = backend.scopes().open()) {
      Buffer buffer = backend.scopes().allocate(DType.BFLOAT16, 10);
      assertThatThrownBy(() -> backend.upload(new float[9], buffer))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("36 bytes of float32 do not fill 10 elements");
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT64", "FLOAT16"})
  void rejectsABufferOfATypeThatItDoesNotHave(DType type) {
    try (CudaBackend backend = EmulatedCuda.open(DType.FLOAT32);
        var _ = backend.scopes().open()) {
      Buffer buffer = backend.scopes().allocate(type, 10);
      assertThatThrownBy(() -> backend.upload(new float[10], buffer))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("values of type " + type);
      assertThatThrownBy(() -> backend.download(buffer))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("values of type " + type);
    }
  }

  @Test
  void uploadedValuesDropWhatWasPackedFromThoseBefore() {
    try (CudaBackend backend = EmulatedCuda.open(DType.FLOAT32);
        var _ = backend.scopes().open()) {
      AtomicInteger packed = new AtomicInteger();
      Buffer weight = backend.scopes().allocate(DType.FLOAT32, 8);
      for (int i = 1; i <= 2; i++) {
        backend.upload(new float[4], weight.slice(4, 4));
        for (int use = 0; use < 2; use++) {
          backend.context().packs().get("rows", List.of(weight), 32, _ -> packed.incrementAndGet());
          assertThat(packed).hasValue(i);
        }
      }
      backend.training().clear(weight);
      backend.context().packs().get("rows", List.of(weight), 32, _ -> packed.incrementAndGet());
      assertThat(packed).hasValue(3);
    }
  }

  @ParameterizedTest
  @EnumSource
  void aHeadIsOneLaunch(HeadOutput output) {
    EmulatedDriver driver = new EmulatedDriver(1 << 20);
    try (CudaBackend backend = new CudaBackend(driver, DType.BFLOAT16);
        var _ = backend.scopes().open()) {
      Buffer x = backend.scopes().allocate(DType.BFLOAT16, 27 * 16);
      Buffer weight = backend.scopes().allocate(DType.FLOAT32, 3 * 16);
      Buffer bias = backend.scopes().allocate(DType.FLOAT32, 3);
      Buffer y = backend.scopes().allocate(DType.BFLOAT16, 27 * 3);
      HeadParameters parameters = new HeadParameters("out", 16, 3, weight, bias);
      long before = driver.launches();
      backend.boxes().head(x, parameters, output, y, new Grid(1, Extents.cube(3)));
      assertThat(driver.launches() - before).isEqualTo(1);
    }
  }

  @Test
  void aRecordedPrimitiveGivesTheBytesOfADirectOne() {
    try (CudaBackend backend = EmulatedCuda.open(DType.BFLOAT16);
        var _ = backend.scopes().open()) {
      float[] values = new float[7 * 33];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) Math.sin(i);
      }
      Buffer x = backend.scopes().allocate(DType.BFLOAT16, values.length);
      Buffer gamma = backend.scopes().allocate(DType.FLOAT32, 33);
      Buffer direct = backend.scopes().allocate(DType.BFLOAT16, values.length);
      Buffer recorded = backend.scopes().allocate(DType.BFLOAT16, values.length);
      backend.upload(values, x);
      backend.upload(new float[33], gamma);
      backend.layerNorm(x, gamma, gamma, direct, 33, 1e-5);
      CudaDriver driver = backend.context().driver();
      CudaDriver.Stream stream = backend.context().stream();
      driver.beginCapture(stream);
      backend.layerNorm(x, gamma, gamma, recorded, 33, 1e-5);
      CudaDriver.Graph graph = driver.endCapture(stream);
      assertThat(backend.download(recorded)).containsOnly(Float.NaN);
      driver.launch(graph, stream);
      assertThat(backend.download(recorded)).isEqualTo(backend.download(direct));
      driver.destroy(graph);
    }
  }
}
