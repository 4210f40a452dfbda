package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.Twin.Pair;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.DType;

class GroupNormKernelsTest {
  private static final double EPSILON = 1e-5;

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
  }

  /** Grid, channels, groups. */
  record Shape(int batch, int depth, int height, int width, int channels, int groups) {
    Grid grid() {
      return new Grid(batch, new Extents(depth, height, width));
    }

    long elements() {
      return grid().rows() * channels;
    }
  }

  private static final List<Shape> SHAPES =
      List.of(
          new Shape(2, 5, 7, 9, 16, 16),
          new Shape(1, 16, 24, 24, 16, 16), // several chunks, several rows of each for a thread
          new Shape(2, 4, 8, 8, 32, 1),
          new Shape(2, 3, 5, 7, 6, 3),
          new Shape(3, 4, 4, 4, 64, 32),
          new Shape(1, 9, 9, 9, 1, 1),
          new Shape(3, 7, 3, 3, 20, 5),
          new Shape(2, 1, 1, 3, 512, 256),
          new Shape(1, 2, 2, 1, 1100, 1100), // more packs than threads
          new Shape(1, 2, 3, 1, 257, 257), // more channels than threads
          new Shape(2, 1, 2, 2, 300, 2));

  static List<Arguments> cases() {
    List<Arguments> cases = new ArrayList<>();
    for (DType type : List.of(DType.FLOAT32, DType.BFLOAT16)) {
      for (Shape shape : SHAPES) {
        cases.add(Arguments.of(type, shape, true));
        cases.add(Arguments.of(type, shape, false));
      }
    }
    return cases;
  }

  @ParameterizedTest(name = "{0}, {1}, parameters: {2}")
  @MethodSource("cases")
  void normalizesAsTheReference(DType type, Shape shape, boolean parameters) {
    try (Twin twin = new Twin(type)) {
      Pair x = twin.activations(shape.elements(), 0.5, 2);
      Pair gamma = parameters ? twin.parameters(shape.channels()) : null;
      Pair beta = parameters ? twin.parameters(shape.channels()) : null;
      Pair y = twin.room(shape.elements());
      forward(twin, x, gamma, beta, y, shape);
      twin.assertSame(y);
    }
  }

  private static void forward(
      Twin twin, Pair x, @Nullable Pair gamma, @Nullable Pair beta, Pair y, Shape shape) {
    twin.device()
        .groupNorm(
            x.device(),
            Twin.device(gamma),
            Twin.device(beta),
            y.device(),
            shape.grid(),
            shape.channels(),
            shape.groups(),
            EPSILON);
    twin.reference()
        .groupNorm(
            x.reference(),
            Twin.reference(gamma),
            Twin.reference(beta),
            y.reference(),
            shape.grid(),
            shape.channels(),
            shape.groups(),
            EPSILON);
  }

  @ParameterizedTest(name = "{0}, {1}, parameters: {2}")
  @MethodSource("cases")
  void gradientsAreThoseOfTheReference(DType type, Shape shape, boolean parameters) {
    try (Twin twin = new Twin(type)) {
      Pair x = twin.activations(shape.elements(), 0.5, 2);
      Pair dy = twin.activations(shape.elements(), -0.3, 1);
      Pair gamma = parameters ? twin.parameters(shape.channels()) : null;
      Pair dgamma = parameters ? twin.parameters(shape.channels()) : null;
      Pair dbeta = parameters ? twin.parameters(shape.channels()) : null;
      Pair dx = twin.room(shape.elements());
      backward(twin, dy, x, gamma, dx, dgamma, dbeta, shape);
      // what is left of the gradient after its projections may be a small part of it
      twin.assertSame(type == DType.FLOAT32 ? 4e-6 : Twin.BFLOAT16_TOLERANCE, dx);
      if (dgamma != null && dbeta != null) {
        twin.assertSame(dgamma, dbeta);
      }
    }
  }

  private static void backward(
      Twin twin,
      Pair dy,
      Pair x,
      @Nullable Pair gamma,
      Pair dx,
      @Nullable Pair dgamma,
      @Nullable Pair dbeta,
      Shape shape) {
    twin.device()
        .training()
        .groupNormBackward(
            dy.device(),
            x.device(),
            Twin.device(gamma),
            dx.device(),
            Twin.device(dgamma),
            Twin.device(dbeta),
            shape.grid(),
            shape.channels(),
            shape.groups(),
            EPSILON);
    twin.reference()
        .training()
        .groupNormBackward(
            dy.reference(),
            x.reference(),
            Twin.reference(gamma),
            dx.reference(),
            Twin.reference(dgamma),
            Twin.reference(dbeta),
            shape.grid(),
            shape.channels(),
            shape.groups(),
            EPSILON);
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void buffersThatNoVectorCanBeLoadedFromAreServed(DType type) {
    Shape shape = new Shape(2, 3, 5, 4, 16, 8);
    try (Twin twin = new Twin(type)) {
      Pair x = twin.unaligned(shape.elements());
      Pair dy = twin.unaligned(shape.elements());
      Pair y = twin.unaligned(shape.elements());
      forward(twin, x, null, null, y, shape);
      backward(twin, dy, x, null, dy, null, null, shape);
      twin.assertSame(y, dy);
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void resultsMayTakeThePlaceOfInputs(DType type) {
    Shape shape = new Shape(2, 5, 6, 7, 16, 16);
    try (Twin twin = new Twin(type)) {
      Pair x = twin.activations(shape.elements());
      Pair dy = twin.activations(shape.elements());
      Pair alsoX = twin.pair(twin.device().download(x.device()));
      Pair dyInPlace = twin.pair(twin.device().download(dy.device()));
      backward(twin, dyInPlace, x, null, dyInPlace, null, null, shape);
      backward(twin, dy, alsoX, null, alsoX, null, null, shape);
      forward(twin, x, null, null, x, shape);
      twin.assertSame(x, dyInPlace, alsoX);
    }
  }

  @Test
  void largeMeanDoesNotCancel() {
    Shape shape = new Shape(1, 16, 16, 16, 16, 16);
    try (Twin twin = new Twin(DType.FLOAT32)) {
      Pair x = twin.activations(shape.elements(), 1000, 1);
      Pair dy = twin.activations(shape.elements(), 3, 1);
      Pair y = twin.room(shape.elements());
      Pair dx = twin.room(shape.elements());
      Pair dgamma = twin.parameters(16);
      Pair dbeta = twin.parameters(16);
      Pair gamma = twin.parameters(16);
      forward(twin, x, null, null, y, shape);
      backward(twin, dy, x, gamma, dx, dgamma, dbeta, shape);
      // means of 1000, of any part, are rounded by up to 3e-5; squares of 1000 would be by 6e-2
      twin.assertSame(5e-5, y);
      twin.assertSame(5e-5, dx);
      twin.assertSame(2e-4, dgamma);
      twin.assertSame(Twin.FLOAT32_TOLERANCE, dbeta);
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void rerunsGiveTheSameBits(DType type) {
    Shape shape = new Shape(2, 9, 16, 16, 16, 8);
    try (Twin twin = new Twin(type)) {
      Pair x = twin.activations(shape.elements());
      Pair dy = twin.activations(shape.elements());
      Pair gamma = twin.parameters(16);
      float[] start = twin.values(16, 0, 1);
      List<float[]> results = new ArrayList<>();
      for (int run = 0; run < 2; run++) {
        Pair y = twin.room(shape.elements());
        Pair dx = twin.room(shape.elements());
        Pair dgamma = twin.pair(DType.FLOAT32, start);
        Pair dbeta = twin.pair(DType.FLOAT32, start);
        forward(twin, x, gamma, null, y, shape);
        backward(twin, dy, x, gamma, dx, dgamma, dbeta, shape);
        for (Pair result : List.of(y, dx, dgamma, dbeta)) {
          results.add(twin.device().download(result.device()));
        }
      }
      for (int i = 0; i < 4; i++) {
        assertThat(results.get(i)).isEqualTo(results.get(i + 4));
      }
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void residualAndActivationFollowTheNorm(DType type) {
    Shape shape = new Shape(2, 5, 6, 7, 16, 16);
    try (Twin twin = new Twin(type)) {
      Pair x = twin.activations(shape.elements());
      Pair residual = twin.activations(shape.elements());
      Pair y = twin.room(shape.elements());
      Pair activated = twin.room(shape.elements());
      GroupNormKernels kernels = twin.device().groupNorm();
      kernels.forwardResidual(
          x.device(), null, null, null, 0.01, activated.device(), shape.grid(), 16, 16, EPSILON);
      kernels.forwardResidual(
          x.device(),
          null,
          null,
          residual.device(),
          0.01,
          y.device(),
          shape.grid(),
          16,
          16,
          EPSILON);
      kernels.forwardResidual(
          x.device(),
          null,
          null,
          residual.device(),
          0.01,
          residual.device(),
          shape.grid(),
          16,
          16,
          EPSILON);
      twin.reference()
          .groupNorm(x.reference(), null, null, y.reference(), shape.grid(), 16, 16, EPSILON);
      twin.reference().leakyRelu(y.reference(), activated.reference(), 0.01);
      twin.reference().add(y.reference(), residual.reference(), y.reference());
      twin.reference().leakyRelu(y.reference(), y.reference(), 0.01);
      twin.reference().training().copy(y.reference(), residual.reference());
      twin.assertSame(activated, y, residual);
    }
  }
}
