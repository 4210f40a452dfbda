package org.unetrpp.backend;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.PairedAttentionParameters.Concatenation;
import org.unetrpp.backend.PairedAttentionParameters.Projection;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.MemoryScope;

/**
 * Every box from a backend's primitives, step by step as the published code has it, each step shown
 * to the backend's probe. What a fused box must equal.
 */
public class ComposedBoxes implements Boxes {
  private static final double EPSILON = ChannelNorm.EPSILON;

  /** The device. */
  protected final Backend backend;

  public ComposedBoxes(Backend backend) {
    this.backend = backend;
  }

  @Override
  public void patchEmbedding(Buffer x, PatchEmbeddingParameters p, Buffer y, Grid grid) {
    Convolution shape = p.convolution();
    Grid patches = grid.dividedBy(shape.stride());
    backend.convolution(x, p.weight(), null, y, grid, shape);
    show(p.name() + ".0.conv", y, shape.outChannels());
    backend.groupNorm(y, p.gamma(), p.beta(), y, patches, shape.outChannels(), p.groups(), EPSILON);
    show(p.name() + ".1", y, shape.outChannels());
  }

  @Override
  public void pairedAttention(Buffer x, PairedAttentionParameters p, Buffer y, int batch) {
    int channels = p.channels();
    try (var _ = backend.scopes().open()) {
      Buffer tokens = like(x);
      backend.add(x, p.positions(), tokens);
      Buffer normalized = like(x);
      backend.layerNorm(tokens, p.normGamma(), p.normBeta(), normalized, channels, EPSILON);
      show(p.name() + ".norm", normalized, channels);
      Buffer attended = like(x);
      for (int item = 0; item < batch; item++) {
        long elements = (long) p.tokens() * channels;
        attention(
            normalized.slice(item * elements, elements),
            p,
            attended.slice(item * elements, elements));
      }
      show(p.name() + ".epa_block", attended, channels);
      backend.addScaled(tokens, p.gamma(), attended, y, channels);
    }
  }

  @Override
  public void embeddedAttention(
      Buffer x,
      PatchEmbeddingParameters embedding,
      PairedAttentionParameters attention,
      Buffer y,
      Grid grid) {
    try (var _ = backend.scopes().open()) {
      Buffer tokens = like(y);
      patchEmbedding(x, embedding, tokens, grid);
      show(embedding.name(), tokens, attention.channels());
      pairedAttention(tokens, attention, y, grid.batch());
    }
  }

  /** Both branches for one item: u (N, C) to out (N, C). */
  private void attention(Buffer u, PairedAttentionParameters p, Buffer out) {
    int channels = p.channels();
    int tokens = p.tokens();
    try (var _ = backend.scopes().open()) {
      Buffer projections = allocate((long) tokens * 4 * channels);
      MatrixView all = MatrixView.of(projections, 4 * channels);
      backend.matrixProduct(
          MatrixView.of(u, channels), false, MatrixView.of(p.qkvv(), channels), true, all, false);
      show(p.name() + ".epa_block.qkvv", projections, 4 * channels);
      MatrixView query = all.columns(0, channels);
      MatrixView key = all.columns(channels, channels);
      MatrixView channelValue = all.columns(2 * channels, channels);
      MatrixView spatialValue = all.columns(3 * channels, channels);

      Buffer projectedKey = project(key, p.keys(), p);
      Buffer projectedValue = project(spatialValue, p.values(), p);
      backend.normalizeColumns(query);
      backend.normalizeColumns(key);

      Buffer channelBranch = allocate((long) tokens * channels);
      channelBranch(query, key, channelValue, p, MatrixView.of(channelBranch, channels));
      Buffer spatialBranch = allocate((long) tokens * channels);
      spatialBranch(query, projectedKey, projectedValue, p, spatialBranch);
      fuse(spatialBranch, channelBranch, p, out);
    }
  }

  /** Keys or values (N, C) along the tokens, to (C, P). */
  private Buffer project(MatrixView x, Projection projection, PairedAttentionParameters p) {
    Buffer y = allocate((long) p.channels() * p.projected());
    MatrixView weight =
        MatrixView.of(projection.weight(), projection.tokenMajor() ? p.projected() : p.tokens());
    backend.matrixProduct(
        x, true, weight, !projection.tokenMajor(), MatrixView.of(y, p.projected()), false);
    if (projection.bias() != null) {
      backend.addBias(MatrixView.of(y, p.projected()), projection.bias());
    }
    show(p.name() + ".epa_block." + projection.name(), y, p.projected());
    return y;
  }

  /** {@code softmax(temperature q k^T) v} between the channels of each head, to (N, C). */
  private void channelBranch(
      MatrixView query,
      MatrixView key,
      MatrixView value,
      PairedAttentionParameters p,
      MatrixView y) {
    int d = p.headChannels();
    try (var _ = backend.scopes().open()) {
      Buffer maps = allocate((long) p.channels() * d);
      MatrixView rows = MatrixView.of(maps, d);
      for (int head = 0; head < p.heads(); head++) {
        int first = head * d;
        backend.matrixProduct(
            query.columns(first, d),
            true,
            key.columns(first, d),
            false,
            rows.rows(first, d),
            false);
      }
      backend.scaleRuns(maps, p.temperature(), (long) d * d);
      backend.softmax(maps, maps, d);
      show(p.name() + ".epa_block.attn_drop", maps, d);
      for (int head = 0; head < p.heads(); head++) {
        int first = head * d;
        backend.matrixProduct(
            value.columns(first, d), false, rows.rows(first, d), true, y.columns(first, d), false);
      }
    }
  }

  /**
   * {@code softmax(temperature2 q^T k_p) v_p^T} of each head. The result S of (h, N, d) is laid out
   * as (d, h, N); whoever reads that as (N, C) has, as the published code does, tokens and channels
   * scrambled.
   */
  private void spatialBranch(
      MatrixView query, Buffer key, Buffer value, PairedAttentionParameters p, Buffer y) {
    int d = p.headChannels();
    int tokens = p.tokens();
    int projected = p.projected();
    try (var _ = backend.scopes().open()) {
      Buffer maps = allocate((long) p.heads() * tokens * projected);
      MatrixView rows = MatrixView.of(maps, projected);
      MatrixView keys = MatrixView.of(key, projected);
      MatrixView values = MatrixView.of(value, projected);
      for (int head = 0; head < p.heads(); head++) {
        backend.matrixProduct(
            query.columns(head * d, d),
            false,
            keys.rows(head * d, d),
            false,
            rows.rows(head * tokens, tokens),
            false);
      }
      backend.scaleRuns(maps, p.temperature2(), (long) tokens * projected);
      backend.softmax(maps, maps, projected);
      show(p.name() + ".epa_block.attn_drop_2", maps, projected);
      for (int head = 0; head < p.heads(); head++) {
        MatrixView ofHead =
            new MatrixView(y, (long) head * tokens, d, tokens, (long) p.heads() * tokens);
        backend.matrixProduct(
            values.rows(head * d, d), false, rows.rows(head * tokens, tokens), true, ofHead, false);
      }
    }
  }

  private void fuse(Buffer spatial, Buffer channel, PairedAttentionParameters p, Buffer out) {
    Concatenation fusion = p.fusion();
    if (fusion == null) {
      backend.add(spatial, channel, out);
      return;
    }
    int half = p.channels() / 2;
    MatrixView rows = MatrixView.of(out, p.channels());
    linear(spatial, fusion.spatialWeight(), fusion.spatialBias(), rows.columns(0, half));
    linear(channel, fusion.channelWeight(), fusion.channelBias(), rows.columns(half, half));
  }

  private void linear(Buffer x, Buffer weight, Buffer bias, MatrixView y) {
    int channels = y.columns() * 2;
    backend.matrixProduct(
        MatrixView.of(x, channels), false, MatrixView.of(weight, channels), true, y, false);
    backend.addBias(y, bias);
  }

  @Override
  public void residualBlock(
      Buffer x, ResidualBlockParameters p, @Nullable Buffer skip, Buffer y, Grid grid) {
    if (p.tail() == null) {
      residual(x, p, y, grid);
      return;
    }
    if (skip == null) {
      throw new IllegalArgumentException(p.name() + " has a tail but nothing to add it to");
    }
    try (var _ = backend.scopes().open()) {
      Buffer z = like(y);
      residual(x, p, z, grid);
      ResidualBlockParameters.Tail tail = p.tail();
      Convolution pointwise = Convolution.pointwise(p.outChannels(), p.outChannels());
      backend.convolution(z, tail.weight(), tail.bias(), y, grid, pointwise);
      show(tail.name(), y, p.outChannels());
      backend.add(y, skip, y);
    }
  }

  private void residual(Buffer x, ResidualBlockParameters p, Buffer y, Grid grid) {
    int in = p.inChannels();
    int out = p.outChannels();
    double slope = ResidualBlockParameters.SLOPE;
    try (var _ = backend.scopes().open()) {
      Buffer hidden = like(y);
      backend.convolution(x, p.weight1(), null, hidden, grid, Convolution.same3(in, out));
      show(p.name() + ".conv1", hidden, out);
      normalize(p.name() + ".norm1", hidden, p.norm1(), null, slope, grid, out);
      backend.convolution(hidden, p.weight2(), null, y, grid, Convolution.same3(out, out));
      show(p.name() + ".conv2", y, out);
      Buffer residual = x;
      if (p.shortcut() != null) {
        residual = hidden; // no longer needed
        backend.convolution(x, p.shortcut(), null, residual, grid, Convolution.pointwise(in, out));
        show(p.name() + ".conv3", residual, out);
        normalize(p.name() + ".norm3", residual, p.norm2(), null, 1, grid, out);
      }
      normalize(p.name() + ".norm2", y, p.norm2(), residual, slope, grid, out);
      show(p.name(), y, out);
    }
  }

  /**
   * {@code y = leakyRelu(norm(y) + residual)}, in place.
   *
   * @param name of the normalization in published checkpoints
   * @param residual as {@code y}, or none
   * @param slope of the LeakyReLU below zero; 1 for none
   */
  protected void normalize(
      String name,
      Buffer y,
      ChannelNorm norm,
      @Nullable Buffer residual,
      double slope,
      Grid grid,
      int channels) {
    switch (norm) {
      case ChannelNorm.Instance() ->
          backend.groupNorm(y, null, null, y, grid, channels, channels, EPSILON);
      case ChannelNorm.Batch batch -> backend.batchNorm(y, batch, y, channels, EPSILON);
    }
    show(name, y, channels);
    if (residual != null) {
      backend.add(y, residual, y);
    }
    if (slope != 1) {
      backend.leakyRelu(y, y, slope);
    }
  }

  @Override
  public void upsample(Buffer x, UpsampleParameters p, Buffer skip, Buffer y, Grid grid) {
    backend.transposedConvolution(
        x, p.weight(), y, grid, Convolution.patches(p.inChannels(), p.outChannels(), p.stride()));
    show(p.name(), y, p.outChannels());
    backend.add(y, skip, y);
  }

  @Override
  public void head(Buffer x, HeadParameters p, HeadOutput output, Buffer y, Grid grid) {
    try (var _ = backend.scopes().open()) {
      Buffer classes = like(y);
      backend.convolution(
          x,
          p.weight(),
          p.bias(),
          classes,
          grid,
          Convolution.pointwise(p.inChannels(), p.classes()));
      if (output == HeadOutput.PROBABILITIES) {
        backend.softmax(classes, classes, p.classes());
      }
      backend.channelsFirst(classes, y, grid, p.classes());
    }
  }

  /** Begins nothing: the tensors of this path, the largest, live shortest if it runs last. */
  @Override
  public FullResolution fullResolution(Buffer x, FullResolutionParameters p, Grid grid) {
    return (features, output) -> {
      Buffer decoded = decodedFeatures(x, p, features, grid);
      Buffer y = allocate(grid.rows() * p.head().classes());
      head(decoded, p.head(), output, y, grid);
      return y;
    };
  }

  /** What the head reads, (B, D, H, W, F). */
  private Buffer decodedFeatures(Buffer x, FullResolutionParameters p, Buffer features, Grid grid) {
    try (MemoryScope scope = backend.scopes().open()) {
      Buffer sum = upsampledSum(x, p, features, grid);
      Buffer y = allocate(sum.elements());
      residualBlock(sum, p.decoder(), null, y, grid);
      show(p.decoder().name(), y, p.decoder().outChannels());
      show(p.name(), y, p.decoder().outChannels());
      scope.keep(y);
      return y;
    }
  }

  /** The block on the image, added to the upsampled features. */
  private Buffer upsampledSum(Buffer x, FullResolutionParameters p, Buffer features, Grid grid) {
    int channels = p.encoder().outChannels();
    try (MemoryScope scope = backend.scopes().open()) {
      Buffer skip = allocate(grid.rows() * channels);
      residualBlock(x, p.encoder(), null, skip, grid);
      show(p.encoder().name(), skip, channels);
      Buffer sum = allocate(skip.elements());
      upsample(features, p.upsampling(), skip, sum, grid.dividedBy(p.upsampling().stride()));
      scope.keep(sum);
      return sum;
    }
  }

  /** Shows the probe values of a step, channels last. */
  protected final void show(String name, Buffer values, int columns) {
    backend.probe().output(name, values, values.elements() / columns, columns);
  }

  private Buffer like(Buffer buffer) {
    return allocate(buffer.elements());
  }

  private Buffer allocate(long elements) {
    return backend.scopes().allocate(backend.computeType(), elements);
  }
}
