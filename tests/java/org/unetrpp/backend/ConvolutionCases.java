package org.unetrpp.backend;

import static org.unetrpp.backend.Values.Role.PARAMETER;

import java.util.ArrayList;
import java.util.List;
import org.unetrpp.backend.ContractCase.Body;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/** Convolutions, transposed ones, and their gradients. */
final class ConvolutionCases {
  private final List<ContractCase> cases = new ArrayList<>();

  private ConvolutionCases() {}

  static List<ContractCase> all() {
    ConvolutionCases all = new ConvolutionCases();
    all.kernels3();
    all.patches();
    all.pointwise();
    all.unusual();
    all.transposed();
    all.changingWeights();
    return all.cases;
  }

  private void kernels3() {
    convolution(Convolution.same3(1, 16), 2, 4, 9, 7);
    convolution(Convolution.same3(4, 16), 1, 17, 5, 8);
    convolution(Convolution.same3(16, 1), 1, 3, 5, 6);
    convolution(Convolution.same3(16, 16), 2, 5, 12, 11);
    convolution(Convolution.same3(16, 16), 1, 2, 17, 35);
    convolution(Convolution.same3(16, 20), 2, 5, 6, 7);
    convolution(Convolution.same3(3, 5), 2, 6, 4, 5);
    convolution(Convolution.same3(20, 8), 1, 1, 6, 6);
    convolution(Convolution.same3(7, 2), 1, 2, 1, 3);
    convolution(Convolution.same3(1, 1), 1, 1, 1, 1);
    convolution(Convolution.same3(32, 32), 2, 4, 4, 4);
    convolution(Convolution.same3(64, 72), 1, 3, 4, 5);
    convolution(Convolution.same3(130, 24), 2, 2, 2, 2);
    convolution(Convolution.same3(128, 128), 1, 2, 3, 2);
  }

  private void patches() {
    convolution(Convolution.patches(1, 32, new Extents(2, 4, 4)), 2, 6, 8, 20);
    convolution(Convolution.patches(4, 32, new Extents(4, 4, 4)), 1, 8, 12, 8);
    convolution(Convolution.patches(32, 64, new Extents(2, 2, 2)), 2, 6, 4, 10);
    convolution(Convolution.patches(3, 7, new Extents(1, 4, 4)), 2, 3, 8, 12);
    convolution(Convolution.patches(5, 6, new Extents(3, 2, 1)), 2, 6, 6, 5);
    convolution(Convolution.patches(3, 5, new Extents(2, 2, 2)), 2, 5, 4, 7); // voxels left over
  }

  private void pointwise() {
    convolution(Convolution.pointwise(16, 14), 2, 3, 5, 37);
    convolution(Convolution.pointwise(32, 32), 1, 4, 5, 4);
    convolution(Convolution.pointwise(1, 16), 2, 3, 5, 4);
    convolution(Convolution.pointwise(5, 3), 2, 3, 5, 4);
    convolution(Convolution.pointwise(1, 1), 1, 1, 1, 1);
    convolution(Convolution.pointwise(256, 256), 2, 1, 3, 5);
  }

  private void unusual() {
    convolution(
        new Convolution(3, 4, new Extents(3, 5, 2), new Extents(2, 3, 1), new Extents(1, 2, 0)),
        2,
        6,
        10,
        5);
    convolution(
        new Convolution(3, 4, new Extents(1, 3, 5), Extents.cube(1), new Extents(0, 1, 1)),
        2,
        3,
        6,
        7);
    convolution(
        new Convolution(6, 18, Extents.cube(3), Extents.cube(2), Extents.cube(1)), 1, 5, 6, 7);
  }

  private void transposed() {
    transposed(Convolution.patches(32, 16, new Extents(2, 4, 4)), 2, 2, 3, 5);
    transposed(Convolution.patches(64, 32, new Extents(2, 2, 2)), 2, 2, 3, 5);
    transposed(Convolution.patches(8, 16, new Extents(2, 2, 2)), 1, 5, 7, 9);
    transposed(Convolution.patches(3, 5, new Extents(1, 4, 4)), 2, 2, 3, 5);
    transposed(Convolution.patches(4, 1, new Extents(3, 1, 2)), 2, 2, 3, 5);
    transposed(Convolution.patches(8, 6, new Extents(1, 1, 1)), 2, 2, 3, 5);
    transposed(Convolution.patches(130, 70, new Extents(2, 1, 2)), 1, 1, 3, 2);
  }

  private static long weights(Convolution s) {
    return s.kernel().voxels() * s.inChannels() * s.outChannels();
  }

  private static String name(String what, Convolution s, Grid grid) {
    String kernel = "%s, kernel %s".formatted(what, s.kernel());
    if (!s.stride().equals(s.kernel())) {
      kernel += ", stride %s, padding %s".formatted(s.stride(), s.padding());
    }
    return "%s, %d to %d channels, %d of %s"
        .formatted(kernel, s.inChannels(), s.outChannels(), grid.batch(), grid.extents());
  }

  private void add(String what, Convolution s, Grid grid, Body body) {
    cases.add(new ContractCase(name(what, s, grid), body));
  }

  private void convolution(Convolution s, int batch, int depth, int height, int width) {
    Grid grid = new Grid(batch, new Extents(depth, height, width));
    long inputs = grid.rows() * s.inChannels();
    long outputs = batch * s.output(grid.extents()).voxels() * s.outChannels();
    add(
        "convolution",
        s,
        grid,
        (backend, v) -> {
          Buffer x = v.activations(inputs);
          Buffer weight = v.parameters(weights(s));
          Buffer y = v.unwritten(outputs);
          Buffer biased = v.unwritten(outputs);
          backend.convolution(x, weight, null, y, grid, s);
          backend.convolution(x, weight, v.parameters(s.outChannels()), biased, grid, s);
          v.result("y", y);
          v.result("y with bias", biased);
        });
    add(
        "data gradient",
        s,
        grid,
        (backend, v) -> {
          Buffer dy = v.activations(outputs);
          Buffer dx = v.unwritten(inputs);
          backend.training().convolutionBackwardData(dy, v.parameters(weights(s)), dx, grid, s);
          v.result("dx", dx);
        });
    add(
        "weight gradient",
        s,
        grid,
        (backend, v) -> {
          Buffer x = v.activations(inputs);
          Buffer dy = v.activations(outputs);
          Buffer dweight = v.parameters(weights(s));
          Buffer dbias = v.parameters(s.outChannels());
          Buffer alone = v.parameters(weights(s));
          backend.training().convolutionBackwardWeights(x, dy, dweight, dbias, grid, s);
          backend.training().convolutionBackwardWeights(x, dy, alone, null, grid, s);
          v.result("dweight", dweight);
          v.result("dbias", dbias);
          v.result("dweight without dbias", alone);
        });
  }

  private void transposed(Convolution s, int batch, int depth, int height, int width) {
    Grid grid = new Grid(batch, new Extents(depth, height, width));
    long inputs = grid.rows() * s.inChannels();
    long outputs = grid.times(s.kernel()).rows() * s.outChannels();
    add(
        "transposed convolution",
        s,
        grid,
        (backend, v) -> {
          Buffer y = v.unwritten(outputs);
          backend.transposedConvolution(
              v.activations(inputs), v.parameters(weights(s)), y, grid, s);
          v.result("y", y);
        });
    add(
        "data gradient of the transposed convolution",
        s,
        grid,
        (backend, v) -> {
          Buffer dy = v.activations(outputs);
          Buffer dx = v.unwritten(inputs);
          backend
              .training()
              .transposedConvolutionBackwardData(dy, v.parameters(weights(s)), dx, grid, s);
          v.result("dx", dx);
        });
    add(
        "weight gradient of the transposed convolution",
        s,
        grid,
        (backend, v) -> {
          Buffer x = v.activations(inputs);
          Buffer dweight = v.parameters(weights(s));
          backend
              .training()
              .transposedConvolutionBackwardWeights(x, v.activations(outputs), dweight, grid, s);
          v.result("dweight", dweight);
        });
  }

  /** Changes the values of a weight. */
  @FunctionalInterface
  private interface Change {
    void apply(Backend backend, Values v, Buffer weight);
  }

  /** What a backend keeps of weights must follow them. */
  private void changingWeights() {
    afterChange(
        "uploaded again",
        (backend, v, weight) ->
            backend.upload(backend.download(v.parameters(weight.elements())), weight));
    afterChange("cleared", (backend, _, weight) -> backend.training().clear(weight));
    afterChange(
        "copied over",
        (backend, v, weight) -> backend.training().copy(v.parameters(weight.elements()), weight));
    afterChange(
        "moved by SGD",
        (backend, v, weight) -> {
          Buffer gradient = v.parameters(weight.elements());
          Buffer velocity = v.parameters(weight.elements());
          backend.training().sgd(weight, gradient, velocity, new SgdUpdate(1, 0, 0, 1));
        });
    afterChange(
        "moved by AdamW",
        (backend, v, weight) -> {
          Buffer gradient = v.parameters(weight.elements());
          Buffer first = v.parameters(weight.elements());
          Buffer second = v.positive(PARAMETER, weight.elements());
          AdamUpdate update = new AdamUpdate(0.5, 0.9, 0.999, 1e-8, 0.01, 1, 3);
          backend.training().adamW(weight, gradient, first, second, update);
        });
    cases.add(
        new ContractCase(
            "convolutions whose weights lie where others lay",
            (backend, v) -> {
              for (int i = 0; i < 4; i++) {
                try (var _ = backend.scopes().open()) {
                  every(backend, v, v.parameters(WEIGHTS), "weight " + i);
                  v.requireNothingWrittenOutside();
                }
              }
            }));
  }

  private static final int WEIGHTS = 12 * 8;

  private void afterChange(String how, Change change) {
    cases.add(
        new ContractCase(
            "convolutions whose weights were " + how,
            (backend, v) -> {
              Buffer all = v.parameters(3 * WEIGHTS);
              Buffer weight = all.slice(WEIGHTS, WEIGHTS);
              every(backend, v, weight, "before");
              change.apply(backend, v, weight);
              every(backend, v, weight, "after");
              change.apply(backend, v, all);
              every(backend, v, weight, "with its surroundings");
            }));
  }

  /** The same weights as those of every operation that may keep a form of its own of them. */
  private static void every(Backend backend, Values v, Buffer weight, String when) {
    Grid grid = new Grid(1, new Extents(2, 4, 6));
    Extents two = Extents.cube(2);
    Grid halves = grid.dividedBy(two);
    Convolution pointwise = Convolution.pointwise(8, 12);
    Convolution patches = Convolution.patches(4, 3, two);
    Convolution transposed = Convolution.patches(3, 4, two);
    Convolution kernel3 =
        new Convolution(4, 8, new Extents(1, 1, 3), Extents.cube(1), new Extents(0, 0, 1));
    Buffer four = v.activations(grid.rows() * 4);
    Buffer eight = v.activations(grid.rows() * 8);
    Buffer twelve = v.activations(grid.rows() * 12);
    Buffer few = v.activations(halves.rows() * 3);
    TrainingPrimitives training = backend.training();
    show(
        v,
        when + ", 1x1x1",
        grid.rows() * 12,
        y -> backend.convolution(eight, weight, null, y, grid, pointwise));
    show(
        v,
        when + ", dx of 1x1x1",
        grid.rows() * 8,
        dx -> training.convolutionBackwardData(twelve, weight, dx, grid, pointwise));
    show(
        v,
        when + ", 1x1x3",
        grid.rows() * 8,
        y -> backend.convolution(four, weight, null, y, grid, kernel3));
    show(
        v,
        when + ", dx of 1x1x3",
        grid.rows() * 4,
        dx -> training.convolutionBackwardData(eight, weight, dx, grid, kernel3));
    show(
        v,
        when + ", patches",
        halves.rows() * 3,
        y -> backend.convolution(four, weight, null, y, grid, patches));
    show(
        v,
        when + ", dx of patches",
        grid.rows() * 4,
        dx -> training.convolutionBackwardData(few, weight, dx, grid, patches));
    show(
        v,
        when + ", transposed",
        grid.rows() * 4,
        y -> backend.transposedConvolution(few, weight, y, halves, transposed));
    show(
        v,
        when + ", dx of transposed",
        halves.rows() * 3,
        dx -> training.transposedConvolutionBackwardData(four, weight, dx, halves, transposed));
    show(
        v,
        when + ", product",
        8 * 12,
        y ->
            backend.matrixProduct(
                MatrixView.of(eight.slice(0, 64), 8),
                false,
                MatrixView.of(weight, 8),
                true,
                MatrixView.of(y, 12),
                false));
  }

  /** Writes a buffer. */
  @FunctionalInterface
  private interface Operation {
    void writeTo(Buffer y);
  }

  private static void show(Values v, String what, long count, Operation operation) {
    Buffer y = v.unwritten(count);
    operation.writeTo(y);
    v.result(what, y);
  }
}
