package org.unetrpp.backend;

import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/**
 * Every box in training mode from a backend's primitives. A box keeps what its convolutions gave
 * and computes the rest again: normalized values, activations, projections, attention maps.
 */
public class ComposedTrainingBoxes implements TrainingBoxes {
  private static final double EPSILON = ChannelNorm.EPSILON;
  private static final double SLOPE = ResidualBlockParameters.SLOPE;

  /** The device. */
  protected final Backend backend;

  public ComposedTrainingBoxes(Backend backend) {
    this.backend = backend;
  }

  /** What training needs of the device. */
  protected final TrainingPrimitives training() {
    return backend.training();
  }

  @Override
  public Pullback<PatchEmbeddingParameters> patchEmbedding(
      Buffer x, PatchEmbeddingParameters p, Buffer y, Grid grid) {
    Convolution shape = p.convolution();
    int channels = shape.outChannels();
    Grid patches = grid.dividedBy(shape.stride());
    Buffer h = like(y);
    backend.convolution(x, p.weight(), null, h, grid, shape);
    backend.groupNorm(h, p.gamma(), p.beta(), y, patches, channels, p.groups(), EPSILON);
    return (dy, gradients, dx) -> {
      try (var _ = backend.scopes().open()) {
        Buffer dh = like(dy);
        training()
            .groupNormBackward(
                dy,
                h,
                p.gamma(),
                dh,
                gradients.gamma(),
                gradients.beta(),
                patches,
                channels,
                p.groups(),
                EPSILON);
        training().convolutionBackwardWeights(x, dh, gradients.weight(), null, grid, shape);
        if (dx != null) {
          training().convolutionBackwardData(dh, p.weight(), dx, grid, shape);
        }
      }
    };
  }

  @Override
  public Pullback<PairedAttentionParameters> pairedAttention(
      Buffer x,
      PairedAttentionParameters p,
      Dropout channelMaps,
      Dropout spatialMaps,
      Buffer y,
      int batch) {
    PairedAttentionTraining box = new PairedAttentionTraining(backend, p, channelMaps, spatialMaps);
    box.forward(x, y, batch);
    return (dy, gradients, dx) -> box.backward(x, dy, gradients, dx, batch);
  }

  @Override
  public Pullback<ResidualBlockParameters> residualBlock(
      Buffer x,
      ResidualBlockParameters p,
      @Nullable Buffer skip,
      Dropout dropout,
      Buffer y,
      Grid grid) {
    boolean again = isCheap(p);
    Buffer kept = again ? null : like(y);
    Buffer h2 = like(y);
    Buffer z = p.tail() == null ? y : like(y);
    try (var _ = backend.scopes().open()) {
      Buffer h1 = kept == null ? like(y) : kept;
      residual(x, p, h1, h2, z, grid);
    }
    if (p.tail() != null) {
      if (skip == null) {
        throw new IllegalArgumentException(p.name() + " has a tail but nothing to add it to");
      }
      tail(z, p, p.tail(), skip, dropout, y, grid);
    }
    return (dy, gradients, dx) -> {
      try (var _ = backend.scopes().open()) {
        Buffer dz = dy;
        if (p.tail() != null) {
          dz = like(dy);
          tailBackward(dy, z, p, p.tail(), gradients, dropout, dz, grid);
        }
        training().leakyReluBackward(dz, z, z, SLOPE);
        Buffer h1 = kept == null ? firstConvolution(x, p, like(dy), grid) : kept;
        residualBackward(x, p, h1, h2, z, gradients, dx, grid);
      }
    };
  }

  /** Whether the first convolution is done again rather than kept: that of an image is. */
  private static boolean isCheap(ResidualBlockParameters p) {
    return 2 * p.inChannels() <= p.outChannels();
  }

  private Buffer firstConvolution(Buffer x, ResidualBlockParameters p, Buffer h1, Grid grid) {
    Convolution shape = Convolution.same3(p.inChannels(), p.outChannels());
    backend.convolution(x, p.weight1(), null, h1, grid, shape);
    return h1;
  }

  private void residual(
      Buffer x, ResidualBlockParameters p, Buffer h1, Buffer h2, Buffer z, Grid grid) {
    int in = p.inChannels();
    int out = p.outChannels();
    try (var _ = backend.scopes().open()) {
      firstConvolution(x, p, h1, grid);
      normalize(h1, p.norm1(), true, null, SLOPE, z, grid, out);
      backend.convolution(z, p.weight2(), null, h2, grid, Convolution.same3(out, out));
      Buffer residual = x;
      if (p.shortcut() != null) {
        residual = like(z);
        backend.convolution(x, p.shortcut(), null, residual, grid, Convolution.pointwise(in, out));
        normalize(residual, p.norm2(), false, null, 1, residual, grid, out);
      }
      normalize(h2, p.norm2(), true, residual, SLOPE, z, grid, out);
    }
  }

  private void tail(
      Buffer z,
      ResidualBlockParameters p,
      ResidualBlockParameters.Tail tail,
      Buffer skip,
      Dropout dropout,
      Buffer y,
      Grid grid) {
    int channels = p.outChannels();
    try (var _ = backend.scopes().open()) {
      Buffer dropped = dropped(z, dropout, grid, channels);
      backend.convolution(
          dropped, tail.weight(), tail.bias(), y, grid, Convolution.pointwise(channels, channels));
      backend.add(y, skip, y);
    }
  }

  private Buffer dropped(Buffer z, Dropout dropout, Grid grid, int channels) {
    if (dropout.isNone()) {
      return z;
    }
    Buffer dropped = like(z);
    training().channelDropout(z, dropped, dropout, grid, channels);
    return dropped;
  }

  private void tailBackward(
      Buffer dy,
      Buffer z,
      ResidualBlockParameters p,
      ResidualBlockParameters.Tail tail,
      ResidualBlockParameters gradients,
      Dropout dropout,
      Buffer dz,
      Grid grid) {
    int channels = p.outChannels();
    Convolution shape = Convolution.pointwise(channels, channels);
    ResidualBlockParameters.Tail to = Objects.requireNonNull(gradients.tail());
    try (var _ = backend.scopes().open()) {
      Buffer dropped = dropped(z, dropout, grid, channels);
      training().convolutionBackwardWeights(dropped, dy, to.weight(), to.bias(), grid, shape);
      training().convolutionBackwardData(dy, tail.weight(), dz, grid, shape);
      if (!dropout.isNone()) {
        training().channelDropout(dz, dz, dropout, grid, channels);
      }
    }
  }

  /**
   * From the gradient before the last LeakyReLU.
   *
   * @param h1 of the first convolution; overwritten
   * @param h2 of the second convolution; overwritten
   */
  private void residualBackward(
      Buffer x,
      ResidualBlockParameters p,
      Buffer h1,
      Buffer h2,
      Buffer dsum,
      ResidualBlockParameters gradients,
      @Nullable Buffer dx,
      Grid grid) {
    int in = p.inChannels();
    int out = p.outChannels();
    Convolution first = Convolution.same3(in, out);
    Convolution second = Convolution.same3(out, out);
    try (var _ = backend.scopes().open()) {
      Buffer activated = like(h1);
      normalize(h1, p.norm1(), false, null, SLOPE, activated, grid, out);
      Buffer dh2 = h2;
      normBackward(dsum, h2, p.norm2(), gradients.norm2(), dh2, grid, out);
      training()
          .convolutionBackwardWeights(activated, dh2, gradients.weight2(), null, grid, second);
      Buffer da = like(h1);
      training().convolutionBackwardData(dh2, p.weight2(), da, grid, second);
      training().leakyReluBackward(da, activated, da, SLOPE);
      normBackward(da, h1, p.norm1(), gradients.norm1(), da, grid, out);
      training().convolutionBackwardWeights(x, da, gradients.weight1(), null, grid, first);
      if (dx != null) {
        training().convolutionBackwardData(da, p.weight1(), dx, grid, first);
      }
      if (p.shortcut() == null) {
        if (dx != null) {
          backend.add(dx, dsum, dx);
        }
      } else {
        shortcutBackward(x, p, p.shortcut(), dsum, gradients, dx, activated, da, grid);
      }
    }
  }

  /**
   * Adds the gradient that goes through the shortcut.
   *
   * @param h scratch
   * @param dh scratch
   */
  private void shortcutBackward(
      Buffer x,
      ResidualBlockParameters p,
      Buffer shortcut,
      Buffer dsum,
      ResidualBlockParameters gradients,
      @Nullable Buffer dx,
      Buffer h,
      Buffer dh,
      Grid grid) {
    int out = p.outChannels();
    Convolution shape = Convolution.pointwise(p.inChannels(), out);
    Buffer dshortcut = Objects.requireNonNull(gradients.shortcut());
    backend.convolution(x, shortcut, null, h, grid, shape);
    normBackward(dsum, h, p.norm2(), gradients.norm2(), dh, grid, out);
    training().convolutionBackwardWeights(x, dh, dshortcut, null, grid, shape);
    if (dx != null) {
      try (var _ = backend.scopes().open()) {
        Buffer through = like(dx);
        training().convolutionBackwardData(dh, shortcut, through, grid, shape);
        backend.add(dx, through, dx);
      }
    }
  }

  /**
   * {@code y = leakyRelu(norm(h) + residual)}, by the statistics of the batch.
   *
   * @param moves whether the running statistics of a batch normalization move towards the batch's
   * @param residual as {@code h}, or none
   * @param slope of the LeakyReLU below zero; 1 for none
   * @param y as {@code h}, which it may be
   */
  protected void normalize(
      Buffer h,
      ChannelNorm norm,
      boolean moves,
      @Nullable Buffer residual,
      double slope,
      Buffer y,
      Grid grid,
      int channels) {
    switch (norm) {
      case ChannelNorm.Instance() ->
          backend.groupNorm(h, null, null, y, grid, channels, channels, EPSILON);
      case ChannelNorm.Batch batch -> {
        if (moves) {
          training().updateStatistics(h, batch, channels, MOMENTUM);
        }
        backend.groupNorm(
            h, batch.gamma(), batch.beta(), y, asOneItem(grid), channels, channels, EPSILON);
      }
    }
    if (residual != null) {
      backend.add(y, residual, y);
    }
    if (slope != 1) {
      backend.leakyRelu(y, y, slope);
    }
  }

  private void normBackward(
      Buffer dy,
      Buffer h,
      ChannelNorm norm,
      ChannelNorm gradients,
      Buffer dh,
      Grid grid,
      int channels) {
    switch (norm) {
      case ChannelNorm.Instance() ->
          training()
              .groupNormBackward(dy, h, null, dh, null, null, grid, channels, channels, EPSILON);
      case ChannelNorm.Batch batch -> {
        ChannelNorm.Batch to = (ChannelNorm.Batch) gradients;
        training()
            .groupNormBackward(
                dy,
                h,
                batch.gamma(),
                dh,
                to.gamma(),
                to.beta(),
                asOneItem(grid),
                channels,
                channels,
                EPSILON);
      }
    }
  }

  /** The grid whose single item is the whole batch: what batch normalization takes together. */
  protected static Grid asOneItem(Grid grid) {
    Extents extents = grid.extents();
    return new Grid(
        1, new Extents(grid.batch() * extents.depth(), extents.height(), extents.width()));
  }

  @Override
  public Pullback<UpsampleParameters> upsample(
      Buffer x, UpsampleParameters p, Buffer skip, Buffer y, Grid grid) {
    Convolution shape = Convolution.patches(p.inChannels(), p.outChannels(), p.stride());
    backend.boxes().upsample(x, p, skip, y, grid);
    return (dy, gradients, dx) -> {
      training().transposedConvolutionBackwardWeights(x, dy, gradients.weight(), grid, shape);
      if (dx != null) {
        training().transposedConvolutionBackwardData(dy, p.weight(), dx, grid, shape);
      }
    };
  }

  @Override
  public Pullback<HeadParameters> head(Buffer x, HeadParameters p, Buffer y, Grid grid) {
    Convolution shape = Convolution.pointwise(p.inChannels(), p.classes());
    backend.boxes().head(x, p, HeadOutput.LOGITS, y, grid);
    return (dy, gradients, dx) -> {
      try (var _ = backend.scopes().open()) {
        Buffer voxelMajor = like(dy);
        backend.channelsLast(dy, voxelMajor, grid, p.classes());
        training()
            .convolutionBackwardWeights(
                x, voxelMajor, gradients.weight(), gradients.bias(), grid, shape);
        if (dx != null) {
          training().convolutionBackwardData(voxelMajor, p.weight(), dx, grid, shape);
        }
      }
    };
  }

  private Buffer like(Buffer buffer) {
    return backend.scopes().allocate(backend.computeType(), buffer.elements());
  }
}
