package org.unetrpp.backend;

import static org.unetrpp.backend.Values.Role.ACTIVATION;
import static org.unetrpp.backend.Values.Role.PARAMETER;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.unetrpp.backend.ContractCase.Body;
import org.unetrpp.backend.Values.Role;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/** Element-wise operations, layout, softmax, dropout, transfers. */
final class ElementCases {
  private final List<ContractCase> cases = new ArrayList<>();

  private ElementCases() {}

  static List<ContractCase> all() {
    ElementCases all = new ElementCases();
    all.activation();
    all.sums();
    all.scales();
    all.layout();
    all.softmax();
    all.dropout();
    all.transfers();
    return all.cases;
  }

  private void add(String name, Body body) {
    cases.add(new ContractCase(name, body));
  }

  private void activation() {
    for (int count : new int[] {1, 4095, 100_001}) {
      add(
          "LeakyReLU of %d values".formatted(count),
          (backend, v) -> {
            Buffer x = v.activations(count);
            Buffer y = v.unwritten(count);
            backend.leakyRelu(x, y, 0.01);
            backend.leakyRelu(x, x, 0.3);
            v.result("y", y);
            v.result("y in the place of x", x);
          });
      add(
          "gradient of LeakyReLU of %d values".formatted(count),
          (backend, v) -> {
            Buffer dy = v.activations(count);
            Buffer y = v.activations(count);
            Buffer dx = v.unwritten(count);
            backend.training().leakyReluBackward(dy, y, dx, 0.01);
            v.result("dx", dx);
            backend.training().leakyReluBackward(dy, y, y, 0.01);
            v.result("dx in the place of y", y);
            backend.training().leakyReluBackward(dy, dx, dy, 0.01);
            v.result("dx in the place of dy", dy);
          });
    }
    add(
        "gradient of LeakyReLU follows the sign of the output",
        (backend, v) -> {
          Buffer y =
              v.of(
                  ACTIVATION,
                  0,
                  -0f,
                  Float.MIN_NORMAL,
                  -Float.MIN_NORMAL,
                  Float.MIN_VALUE,
                  -Float.MIN_VALUE,
                  0x1p-130f,
                  -0x1p-130f,
                  0x1p127f,
                  -0x1p127f);
          Buffer dx = v.activations(y.elements());
          backend.training().leakyReluBackward(dx, y, dx, 0.01);
          v.result("dx", dx);
        });
  }

  private void sums() {
    int[][] shapes = {
      {10, 10}, {70_001, 70_001}, {90_000, 10}, {90_000, 30_000}, {12, 1}, {9999, 33}
    };
    for (int[] shape : shapes) {
      for (Role role : Role.values()) {
        add(
            "%d values plus %d, repeated, as %s".formatted(shape[0], shape[1], role),
            (backend, v) -> {
              Buffer a = v.activations(shape[0]);
              Buffer b = v.random(role, shape[1]);
              Buffer y = v.unwritten(shape[0]);
              backend.add(a, b, y);
              backend.add(a, b, a);
              v.result("y", y);
              v.result("y in the place of a", a);
            });
      }
    }
    for (int channels : new int[] {1, 3, 32, 257}) {
      int rows = 150_000 / channels;
      add(
          "sum scaled by channel, %d rows of %d".formatted(rows, channels),
          (backend, v) -> {
            Buffer a = v.activations((long) rows * channels);
            Buffer b = v.activations((long) rows * channels);
            Buffer gamma = v.parameters(channels);
            Buffer y = v.unwritten(a.elements());
            backend.addScaled(a, gamma, b, y, channels);
            backend.addScaled(a, gamma, b, a, channels);
            v.result("y", y);
            v.result("y in the place of a", a);
          });
      add(
          "gradients of the sum scaled by channel, %d rows of %d".formatted(rows, channels),
          (backend, v) -> {
            Buffer dy = v.activations((long) rows * channels);
            Buffer b = v.activations((long) rows * channels);
            Buffer gamma = v.parameters(channels);
            Buffer db = v.unwritten(b.elements());
            Buffer dgamma = v.parameters(channels);
            backend.training().addScaledBackward(dy, gamma, b, db, dgamma, channels);
            v.result("dgamma", dgamma);
            backend.training().addScaledBackward(dy, gamma, b, b, dgamma, channels);
            v.result("db", db);
            v.result("db in the place of b", b);
            v.result("dgamma of both", dgamma);
          });
    }
  }

  private void scales() {
    int[][] shapes = {{4, 1100}, {3, 2}, {9000, 1}, {1, 5}, {8, 7501}};
    for (int[] shape : shapes) {
      long count = (long) shape[0] * shape[1];
      for (Role role : Role.values()) {
        add(
            "%d runs of %d scaled by %s".formatted(shape[0], shape[1], role),
            (backend, v) -> {
              Buffer x = v.activations(count);
              backend.scaleRuns(x, v.random(role, shape[0]), shape[1]);
              v.result("x", x);
            });
      }
      add(
          "gradients of %d scaled runs of %d".formatted(shape[0], shape[1]),
          (backend, v) -> {
            Buffer dy = v.activations(count);
            Buffer dscales = v.parameters(shape[0]);
            backend
                .training()
                .scaleRunsBackward(
                    dy, v.activations(count), v.parameters(shape[0]), dscales, shape[1]);
            v.result("dx", dy);
            v.result("dscales", dscales);
          });
    }
  }

  private void layout() {
    int[][] shapes = {{1, 1}, {14, 5000}, {4, 4096}, {256, 64}, {3, 9001}, {33, 31}};
    for (int[] shape : shapes) {
      Grid grid = new Grid(2, new Extents(1, 1, shape[1]));
      add(
          "%d channels of %d voxels go last and first again".formatted(shape[0], shape[1]),
          (backend, v) -> {
            Buffer x = v.activations(grid.rows() * shape[0]);
            Buffer last = v.unwritten(x.elements());
            Buffer first = v.unwritten(x.elements());
            backend.channelsLast(x, last, grid, shape[0]);
            backend.channelsFirst(last, first, grid, shape[0]);
            v.exactResult("channels last", last);
            v.exactResult("channels first", first);
          });
    }
    for (int count : new int[] {1, 7, 70_001}) {
      add(
          "copies and zeros, %d values".formatted(count),
          (backend, v) -> {
            for (Role role : Role.values()) {
              Buffer copy = v.unwritten(role, count);
              Buffer cleared = v.unwritten(role, count);
              backend.training().copy(v.random(role, count), copy);
              backend.training().clear(cleared);
              v.exactResult("copy of " + role, copy);
              v.exactResult("cleared " + role, cleared);
            }
          });
    }
    add(
        "copies that convert",
        (backend, v) -> {
          Buffer wide = v.unwritten(PARAMETER, 20_001);
          Buffer narrow = v.unwritten(ACTIVATION, 20_001);
          backend.training().copy(v.activations(20_001), wide);
          backend.training().copy(v.parameters(20_001), narrow);
          v.exactResult("parameters of activations", wide);
          // to the nearest: half as far off as what is cut off
          v.result("activations of parameters", narrow, 0.5);
        });
  }

  private void softmax() {
    int[][] shapes = {{1, 1}, {5, 3}, {1000, 8}, {3000, 64}, {17, 33}, {3, 1500}, {9, 512}};
    for (int[] shape : shapes) {
      int rows = shape[0];
      int columns = shape[1];
      long count = (long) rows * columns;
      String name = "%d rows of %d".formatted(rows, columns);
      add(
          "softmax of " + name,
          (backend, v) -> {
            Buffer x = v.activations(count, 3, 4);
            Buffer y = v.unwritten(count);
            backend.softmax(x, y, columns);
            backend.softmax(x, x, columns);
            // differences of up to 16 are rounded, then exponentiated
            v.result("y", y, 2);
            v.result("y in the place of x", x, 2);
          });
      add(
          "gradient of softmax of " + name,
          (backend, v) -> {
            Buffer dy = v.activations(count);
            Buffer y = v.probabilities(rows, columns);
            Buffer dx = v.unwritten(count);
            backend.training().softmaxBackward(dy, y, dx, columns);
            backend.training().softmaxBackward(dy, y, dy, columns);
            if (columns > 1) { // else it is zero but for rounding
              v.result("dx", dx, 2);
              v.result("dx in the place of dy", dy, 2);
            } else {
              v.exactResult("y", y);
            }
          });
    }
    add(
        "softmax of large values",
        (backend, v) -> {
          Buffer x = v.of(ACTIVATION, 1000, 999, -1000, 3e38f, -3e38f, 3e38f);
          backend.softmax(x, x, 3);
          v.result("y", x);
        });
  }

  private void dropout() {
    add(
        "dropout",
        (backend, v) -> {
          Buffer x = v.activations(9001);
          Buffer y = v.unwritten(9001);
          TrainingPrimitives training = backend.training();
          training.dropout(x, y, new Dropout(0.3, -5L << 40, 12, 3L << 33), 1_234_567);
          v.result("y", y);
          training.dropout(x, x, new Dropout(0.1, 42, 3, 7), 13);
          v.result("y in the place of x", x);
          training.dropout(x, y, new Dropout(0.5, 42, 3, 7), (7L << 32) + 2);
          v.result("y of values far on", y);
        });
    add(
        "dropout of few values at every beginning",
        (backend, v) -> {
          for (int first = 0; first < 9; first++) {
            Buffer x = v.activations(11);
            backend.training().dropout(x, x, new Dropout(0.6, 1, 2, 3), first);
            v.result("y from value " + first, x);
          }
        });
    add(
        "no dropout",
        (backend, v) -> {
          Buffer x = v.activations(5000);
          Buffer y = v.unwritten(5000);
          backend.training().dropout(x, y, Dropout.NONE, 0);
          v.exactResult("y", y);
        });
    for (int channels : new int[] {1, 20, 24, 130}) {
      Grid grid = new Grid(2, new Extents(2, 7, 5));
      add(
          "dropout of %d channels".formatted(channels),
          (backend, v) -> {
            Buffer x = v.activations(grid.rows() * channels);
            Buffer y = v.unwritten(x.elements());
            TrainingPrimitives training = backend.training();
            training.channelDropout(x, y, new Dropout(0.5, 9, 1, 2), grid, channels);
            training.channelDropout(x, x, new Dropout(0.2, 9, 1, 2), grid, channels);
            v.result("y", y);
            v.result("y in the place of x", x);
            training.channelDropout(x, y, Dropout.NONE, grid, channels);
            v.result("y without dropout", y);
          });
    }
  }

  private void transfers() {
    add(
        "values come back as they went",
        (backend, v) -> {
          for (Role role : Role.values()) {
            Buffer x = v.random(role, 1003);
            Buffer y = v.unwritten(role, 1003);
            float[] values = backend.download(x);
            backend.upload(MemorySegment.ofArray(values), y);
            v.exactResult("from a segment of " + role, y);
            float[] part = new float[5];
            backend.download(x.slice(500, 5), MemorySegment.ofArray(part));
            backend.upload(part, y.slice(7, 5));
            v.exactResult("a part of " + role, y);
          }
        });
  }
}
