package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unetrpp.backend.cuda.driver.CudaException;

class TunerTest {
  private static final List<Split> CANDIDATES = List.of(new Split(1), new Split(2), new Split(4));

  private final List<Split> launched = new ArrayList<>();
  private final EmulatedDriver driver = new EmulatedDriver(0);
  @TempDir private Path folder;
  private Split running = CANDIDATES.getFirst();

  private record Split(int count) {}

  private record Extent(int voxels) {}

  private Tuner tuner() {
    return new Tuner(driver);
  }

  private ChoiceTable table() {
    return ChoiceTable.of(
        folder.resolve("tuning.json"),
        line -> {
          throw new AssertionError(line);
        });
  }

  /** Milliseconds that two splits take least of. */
  private double millis(Runnable work) {
    work.run();
    return Math.abs(running.count - 2) + 1;
  }

  private Split choose(Tuner tuner, int voxels, List<Split> candidates) {
    return tuner.choose("file", "kernel", new Extent(voxels), candidates, this::launch);
  }

  private void launch(Split split) {
    running = split;
    launched.add(split);
    if (split.count == 8) {
      throw new CudaException("too much shared memory");
    }
  }

  @Test
  void takesTheExpectedOneIfItIsNotToMeasure() {
    assertThat(choose(tuner(), 1, CANDIDATES)).isEqualTo(new Split(1));
    assertThat(launched).isEmpty();
  }

  @Test
  void measuresEachShapeOnce() {
    Tuner tuner = tuner();
    tuner.measure(this::millis, ChoiceTable.inMemory());
    assertThat(choose(tuner, 1, CANDIDATES)).isEqualTo(new Split(2));
    assertThat(launched).containsOnly(CANDIDATES.toArray(Split[]::new));
    launched.clear();
    assertThat(choose(tuner, 1, CANDIDATES)).isEqualTo(new Split(2));
    assertThat(launched).isEmpty();
    assertThat(choose(tuner, 2, CANDIDATES)).isEqualTo(new Split(2));
    assertThat(launched).isNotEmpty();
  }

  @Test
  void oneCandidateIsNotMeasured() {
    Tuner tuner = tuner();
    tuner.measure(this::millis, ChoiceTable.inMemory());
    assertThat(choose(tuner, 1, List.of(new Split(4)))).isEqualTo(new Split(4));
    assertThat(launched).isEmpty();
  }

  @Test
  void whatOneRunMeasuredTheNextOneTakes() {
    Tuner first = tuner();
    first.measure(this::millis, table());
    choose(first, 1, CANDIDATES);
    launched.clear();
    Tuner next = tuner();
    next.measure(this::millis, table());
    assertThat(choose(next, 1, CANDIDATES)).isEqualTo(new Split(2));
    assertThat(launched).isEmpty();
  }

  @Test
  void whatThisMachineMeasuredCountsMoreThanWhatCameWithTheKernels() {
    ChoiceTable shipped = ChoiceTable.inMemory();
    for (int voxels : new int[] {1, 2}) {
      String key = "kernel emulated, " + new Extent(voxels);
      shipped.choose(key, new Split(4).toString(), Map.of(), Map.of());
    }
    Tuner first = tuner();
    first.measure(this::millis, table());
    choose(first, 1, CANDIDATES);
    Tuner tuner = tuner();
    tuner.follow(shipped);
    tuner.measure(this::millis, table());
    assertThat(choose(tuner, 1, CANDIDATES)).isEqualTo(new Split(2));
    assertThat(choose(tuner, 2, CANDIDATES)).isEqualTo(new Split(4));
  }

  @Test
  void whatATableNamesMustBeACandidate() {
    ChoiceTable shipped = ChoiceTable.inMemory();
    shipped.choose("kernel emulated, " + new Extent(1), "Split[count=3]", Map.of(), Map.of());
    Tuner tuner = tuner();
    tuner.follow(shipped);
    assertThat(choose(tuner, 1, CANDIDATES)).isEqualTo(new Split(1));
  }

  @Test
  void aCandidateThatTheDeviceRefusesIsLeftOut() {
    Tuner tuner = tuner();
    tuner.measure(this::millis, table());
    assertThat(choose(tuner, 1, List.of(new Split(8), new Split(1), new Split(4))))
        .isEqualTo(new Split(1));
  }

  @Test
  void readsWhatIsShipped() {
    Tuner tuner = tuner();
    tuner.follow(ChoiceTable.shipped("tuning-of-a-test.json"));
    assertThat(choose(tuner, 1, CANDIDATES)).isEqualTo(new Split(4));
    assertThat(choose(tuner, 2, CANDIDATES)).isEqualTo(new Split(1));
  }

  @Test
  void nothingShippedIsAnEmptyTable() {
    assertThat(ChoiceTable.shipped("tuning-sm_10.json").provider("kernel")).isNull();
  }
}
