package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.unetrpp.backend.cuda.driver.TimedDriver;
import org.unetrpp.backend.cuda.driver.TimedDriver.KernelTime;
import org.unetrpp.memory.DType;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;

class TimedDriverTest {
  private final TimedDriver driver = new TimedDriver(new EmulatedDriver(1 << 20));
  private final CudaBackend backend = new CudaBackend(driver, DType.FLOAT32);

  @BeforeEach
  void open() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
  }

  @AfterEach
  void close() {
    backend.close();
  }

  private void normalize(int rows) {
    try (var _ = backend.scopes().open()) {
      Tensor x = Tensor.of(backend, Shape.of(rows, 2), new float[2 * rows]);
      Tensor gamma = Tensor.of(backend, Shape.of(2), 1, 1);
      backend.layerNorm(x.buffer(), gamma.buffer(), gamma.buffer(), x.buffer(), 2, 1e-5);
    }
  }

  @Test
  void tellsWhatEachKernelTookByGeometry() {
    driver.begin();
    normalize(3);
    normalize(300);
    normalize(3);
    List<KernelTime> times = driver.end();
    assertThat(times).extracting(KernelTime::kernel).containsOnly("layer_norm_forward_f32");
    assertThat(times).extracting(KernelTime::launches).containsExactly(2, 1);
    assertThat(times).allSatisfy(time -> assertThat(time.millis()).isPositive());
    assertThat(times.get(1).geometry().gridX()).isGreaterThan(times.get(0).geometry().gridX());
  }

  @Test
  void measuresNothingUnlessAskedTo() {
    normalize(3);
    driver.begin();
    assertThat(driver.end()).isEmpty();
    normalize(3);
    assertThatThrownBy(driver::end).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void knowsTheMostMemoryThatWasUsed() {
    long first = driver.allocate(1000);
    driver.free(first);
    long second = driver.allocate(600);
    long third = driver.allocate(700);
    driver.free(second);
    driver.free(third);
    assertThat(driver.mostBytes()).isEqualTo(1300);
  }

  @Test
  void knowsTheStreamsThatThereAre() {
    assertThat(driver.streams()).hasSize(1); // the backend's
    var stream = driver.createStream();
    assertThat(driver.streams()).hasSize(2).contains(stream);
    driver.destroy(stream);
    assertThat(driver.streams()).hasSize(1);
  }
}
