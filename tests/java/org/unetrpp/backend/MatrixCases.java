package org.unetrpp.backend;

import static org.unetrpp.backend.Values.Role.ACTIVATION;
import static org.unetrpp.backend.Values.Role.PARAMETER;

import java.util.ArrayList;
import java.util.List;
import org.unetrpp.backend.ContractCase.Body;
import org.unetrpp.backend.Values.Role;
import org.unetrpp.memory.Buffer;

/** Matrix products, and sums and norms of columns. */
final class MatrixCases {
  private final List<ContractCase> cases = new ArrayList<>();

  private MatrixCases() {}

  static List<ContractCase> all() {
    MatrixCases all = new MatrixCases();
    all.products();
    all.productsOfTypes();
    all.biases();
    all.norms();
    return all.cases;
  }

  private void add(String name, Body body) {
    cases.add(new ContractCase(name, body));
  }

  private void products() {
    for (boolean transposeA : new boolean[] {false, true}) {
      for (boolean transposeB : new boolean[] {false, true}) {
        product(1, 1, 1, transposeA, transposeB);
        product(7, 5, 3, transposeA, transposeB);
        product(64, 64, 16, transposeA, transposeB);
        product(130, 70, 33, transposeA, transposeB);
        product(16, 24, 5000, transposeA, transposeB);
        product(1, 90, 257, transposeA, transposeB);
      }
    }
    product(1100, 128, 32, false, true); // tokens to queries, keys, values
    product(32, 64, 3001, true, true); // keys to projected tokens
    product(8, 8, 1027, true, false); // queries with keys of one head
    product(8, 1500, 64, false, true); // values with maps
    product(256, 256, 64, true, false);
    product(600, 700, 33, false, true);
    product(300, 9, 2500, false, true);
  }

  private void product(int rows, int columns, int inner, boolean transposeA, boolean transposeB) {
    String shape =
        "product %d x %d x %d%s%s"
            .formatted(
                rows, inner, columns, transposeA ? ", a" : "", transposeB ? ", b transposed" : "");
    add(
        transposeA && !transposeB ? shape + " transposed" : shape,
        (backend, v) -> {
          MatrixView a = v.matrix(ACTIVATION, transposeA ? inner : rows, transposeA ? rows : inner);
          MatrixView b =
              v.matrix(ACTIVATION, transposeB ? columns : inner, transposeB ? inner : columns);
          MatrixView c = v.matrix(ACTIVATION, rows, columns);
          MatrixView sum = v.matrix(ACTIVATION, rows, columns);
          MatrixView whole = MatrixView.of(v.unwritten((long) rows * columns), columns);
          backend.matrixProduct(a, transposeA, b, transposeB, c, false);
          backend.matrixProduct(a, transposeA, b, transposeB, sum, true);
          backend.matrixProduct(a, transposeA, b, transposeB, whole, false);
          v.result("c", c.buffer());
          v.result("c + sum", sum.buffer());
          v.result("c without gaps", whole.buffer());
        });
  }

  private void productsOfTypes() {
    for (Role a : Role.values()) {
      for (Role b : Role.values()) {
        for (Role c : Role.values()) {
          productOfTypes(a, b, c, 37, 29, 70);
          productOfTypes(a, b, c, 64, 128, 1025);
        }
      }
    }
  }

  /** Operands without gaps between their rows, and then the same with every stride. */
  private void productOfTypes(Role a, Role b, Role c, int rows, int columns, int inner) {
    add(
        "product %d x %d x %d, %s times %s to %s".formatted(rows, inner, columns, a, b, c),
        (backend, v) -> {
          MatrixView left = MatrixView.of(v.random(a, (long) inner * rows), rows);
          MatrixView right = MatrixView.of(v.random(b, (long) columns * inner), inner);
          MatrixView product = MatrixView.of(v.unwritten(c, (long) rows * columns), columns);
          backend.matrixProduct(left, true, right, true, product, false);
          backend.matrixProduct(left, true, right, true, product, true);
          MatrixView wide = v.matrix(c, rows, columns);
          backend.matrixProduct(
              v.matrix(a, rows, inner), false, v.matrix(b, inner, columns), false, wide, true);
          v.result("c", product.buffer());
          v.result("c + product", wide.buffer());
        });
  }

  private void biases() {
    for (int[] shape : new int[][] {{1, 1}, {700, 13}, {3, 1030}, {129, 64}}) {
      add(
          "bias on %d rows of %d".formatted(shape[0], shape[1]),
          (backend, v) -> {
            MatrixView x = v.matrix(ACTIVATION, shape[0], shape[1]);
            MatrixView whole = MatrixView.of(v.activations((long) shape[0] * shape[1]), shape[1]);
            Buffer bias = v.parameters(shape[1]);
            backend.addBias(x, bias);
            backend.addBias(whole, bias);
            v.result("x", x.buffer());
            v.result("x without gaps", whole.buffer());
          });
    }
    for (int[] shape : new int[][] {{1, 1}, {700, 13}, {40_000, 3}, {3, 5000}, {2500, 33}}) {
      add(
          "column sums of %d rows of %d".formatted(shape[0], shape[1]),
          (backend, v) -> {
            MatrixView x = v.matrix(ACTIVATION, shape[0], shape[1]);
            MatrixView whole = MatrixView.of(v.activations((long) shape[0] * shape[1]), shape[1]);
            Buffer sums = v.parameters(shape[1]);
            backend.training().addColumnSums(x, sums);
            v.result("sums", sums);
            backend.training().addColumnSums(whole, sums);
            v.result("sums of both", sums);
          });
    }
    for (int[] shape : new int[][] {{1, 5000}, {32, 3}, {4097, 1}, {10_000, 2}, {33, 700}}) {
      add(
          "sum of %d runs of %d".formatted(shape[1], shape[0]),
          (backend, v) -> {
            Buffer dy = v.activations((long) shape[0] * shape[1]);
            Buffer sum = v.parameters(shape[0]);
            backend.training().addRepeats(dy, sum);
            v.result("sum", sum);
          });
    }
  }

  private void norms() {
    for (int[] shape : new int[][] {{1, 1}, {4000, 24}, {64, 256}, {37, 5}}) {
      for (Role role : Role.values()) {
        norms(shape[0], shape[1], role);
      }
    }
    add(
        "columns of zeros",
        (backend, v) -> {
          Buffer x = v.of(ACTIVATION, new float[30]);
          Buffer kept = v.of(ACTIVATION, new float[30]);
          Buffer norms = v.unwritten(PARAMETER, 3);
          backend.normalizeColumns(MatrixView.of(x, 3));
          backend.training().normalizeColumns(MatrixView.of(kept, 3), norms);
          Buffer dy = v.activations(30);
          backend
              .training()
              .normalizeColumnsBackward(MatrixView.of(dy, 3), MatrixView.of(kept, 3), norms);
          v.exactResult("y", x);
          v.exactResult("y with norms", kept);
          v.result("norms", norms);
          v.result("dx", dy);
        });
  }

  private void norms(int rows, int columns, Role role) {
    String shape = "%d rows of %d columns".formatted(rows, columns);
    add(
        "normalization of %s, norms as %s".formatted(shape, role),
        (backend, v) -> {
          MatrixView x = v.matrix(ACTIVATION, rows, columns);
          MatrixView kept = v.matrix(ACTIVATION, rows, columns);
          Buffer norms = v.unwritten(role, columns);
          backend.normalizeColumns(x);
          backend.training().normalizeColumns(kept, norms);
          v.result("y", x.buffer());
          v.result("y with norms", kept.buffer());
          v.result("norms", norms);
        });
    add(
        "gradient of the normalization of %s, norms as %s".formatted(shape, role),
        (backend, v) -> {
          MatrixView y = v.matrix(ACTIVATION, rows, columns);
          MatrixView dy = v.matrix(ACTIVATION, rows, columns);
          Buffer norms = v.positive(role, columns);
          backend.training().normalizeColumnsBackward(dy, y, norms);
          v.result("dx", dy.buffer());
        });
  }
}
