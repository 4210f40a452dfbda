package org.unetrpp.backend;

import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.PairedAttentionParameters.Concatenation;
import org.unetrpp.backend.PairedAttentionParameters.Projection;
import org.unetrpp.memory.Buffer;

/**
 * Efficient paired attention in training mode from primitives, item by item. The gradient computes
 * projections and attention maps again, so that nothing of the forward pass is kept.
 *
 * <p>With q, k, v, w the projections of the normalized tokens u, hats for columns of length one,
 * and for each head:
 *
 * <pre>
 *   A = softmax(t1 q^T k^)    (d, d)       channel branch  v A^T
 *   S = softmax(t2 q^ K)      (N, P)       spatial branch  V S^T, laid as (d, h, N)
 *   K = (E k)^T, V = (F w)^T  (d, P)
 * </pre>
 */
final class PairedAttentionTraining {
  private static final double EPSILON = ChannelNorm.EPSILON;

  private final Backend backend;
  private final TrainingPrimitives training;
  private final PairedAttentionParameters p;
  private final Dropout channelMaps;
  private final Dropout spatialMaps;
  private final int channels;
  private final int tokens;
  private final int projected;
  private final int heads;
  private final int d;

  PairedAttentionTraining(
      Backend backend, PairedAttentionParameters p, Dropout channelMaps, Dropout spatialMaps) {
    this.backend = backend;
    training = backend.training();
    this.p = p;
    this.channelMaps = channelMaps;
    this.spatialMaps = spatialMaps;
    channels = p.channels();
    tokens = p.tokens();
    projected = p.projected();
    heads = p.heads();
    d = p.headChannels();
  }

  void forward(Buffer x, Buffer y, int batch) {
    try (var _ = backend.scopes().open()) {
      Buffer t = allocate(x.elements());
      Buffer u = allocate(x.elements());
      Buffer attended = allocate(x.elements());
      normalizedTokens(x, t, u);
      for (int item = 0; item < batch; item++) {
        try (var _ = backend.scopes().open()) {
          new Branches(item(u, item), item).fuse(item(attended, item));
        }
      }
      backend.addScaled(t, p.gamma(), attended, y, channels);
    }
  }

  void backward(
      Buffer x, Buffer dy, PairedAttentionParameters gradients, @Nullable Buffer dx, int batch) {
    try (var _ = backend.scopes().open()) {
      Buffer t = allocate(x.elements());
      Buffer u = allocate(x.elements());
      Buffer attended = allocate(x.elements());
      Buffer du = allocate(x.elements());
      normalizedTokens(x, t, u);
      for (int item = 0; item < batch; item++) {
        try (var _ = backend.scopes().open()) {
          Branches branches = new Branches(item(u, item), item);
          Buffer out = item(attended, item);
          branches.fuse(out);
          training.addScaledBackward(
              item(dy, item), p.gamma(), out, out, gradients.gamma(), channels);
          branches.backward(out, gradients, item(du, item));
        }
      }
      training.layerNormBackward(
          du, t, p.normGamma(), du, gradients.normGamma(), gradients.normBeta(), channels, EPSILON);
      Buffer dt = dx == null ? t : dx;
      backend.add(dy, du, dt);
      training.addRepeats(dt, gradients.positions());
    }
  }

  private void normalizedTokens(Buffer x, Buffer t, Buffer u) {
    backend.add(x, p.positions(), t);
    backend.layerNorm(t, p.normGamma(), p.normBeta(), u, channels, EPSILON);
  }

  private Buffer item(Buffer buffer, int item) {
    long elements = (long) tokens * channels;
    return buffer.slice(item * elements, elements);
  }

  private Buffer allocate(long elements) {
    return backend.scopes().allocate(backend.computeType(), elements);
  }

  private MatrixView matrix(long rows, int columns) {
    return MatrixView.of(allocate(rows * columns), columns);
  }

  private void product(MatrixView a, MatrixView b, MatrixView c) {
    backend.matrixProduct(a, false, b, false, c, false);
  }

  /** {@code c = a^T b}. */
  private void productTransposedA(MatrixView a, MatrixView b, MatrixView c) {
    backend.matrixProduct(a, true, b, false, c, false);
  }

  /** {@code c = a b^T}. */
  private void productTransposedB(MatrixView a, MatrixView b, MatrixView c) {
    backend.matrixProduct(a, false, b, true, c, false);
  }

  private void addProduct(MatrixView a, MatrixView b, MatrixView c) {
    backend.matrixProduct(a, false, b, false, c, true);
  }

  /** Both branches of one item, up to their outputs. */
  private final class Branches {
    private final int item;
    private final MatrixView u;
    private final MatrixView projections = matrix(tokens, 4 * channels);

    /** Normalized once the keys are projected. */
    private final MatrixView query = part(projections, 0);

    private final MatrixView key = part(projections, 1);
    private final MatrixView channelValue = part(projections, 2);
    private final MatrixView spatialValue = part(projections, 3);
    private final Buffer queryNorms = allocate(channels);
    private final Buffer keyNorms = allocate(channels);
    private final MatrixView keys = matrix(channels, projected);
    private final MatrixView values = matrix(channels, projected);

    /** Products of query and key channels, before temperature. */
    private final MatrixView products = matrix(channels, d);

    /** A of all heads, before dropout. */
    private final MatrixView channelAttention = matrix(channels, d);

    private final MatrixView droppedChannelAttention;

    /** S of all heads, before dropout. */
    private final MatrixView spatialAttention = matrix((long) heads * tokens, projected);

    private final MatrixView droppedSpatialAttention;
    private final Buffer channelBranch = allocate((long) tokens * channels);
    private final Buffer spatialBranch = allocate((long) tokens * channels);

    Branches(Buffer normalizedTokens, int item) {
      this.item = item;
      u = MatrixView.of(normalizedTokens, channels);
      productTransposedB(u, MatrixView.of(p.qkvv(), channels), projections);
      project(key, p.keys(), keys);
      project(spatialValue, p.values(), values);
      training.normalizeColumns(query, queryNorms);
      training.normalizeColumns(key, keyNorms);
      attendChannels();
      droppedChannelAttention = dropped(channelAttention, channelMaps);
      attendTokens();
      droppedSpatialAttention = dropped(spatialAttention, spatialMaps);
      applyMaps();
    }

    private MatrixView part(MatrixView all, int which) {
      return all.columns(which * channels, channels);
    }

    private MatrixView ofHead(MatrixView columns, int head) {
      return columns.columns(head * d, d);
    }

    private MatrixView rowsOfHead(MatrixView rows, int head) {
      return rows.rows(head * d, d);
    }

    private MatrixView tokensOfHead(MatrixView rows, int head) {
      return rows.rows(head * tokens, tokens);
    }

    /** (d, N) of one head within (d, h, N), which is later read as (N, C). */
    private MatrixView outputOfHead(Buffer branch, int head) {
      return new MatrixView(branch, (long) head * tokens, d, tokens, (long) heads * tokens);
    }

    private void project(MatrixView x, Projection projection, MatrixView y) {
      backend.matrixProduct(x, true, weight(projection), !projection.tokenMajor(), y, false);
      if (projection.bias() != null) {
        backend.addBias(y, projection.bias());
      }
    }

    private MatrixView weight(Projection projection) {
      return MatrixView.of(projection.weight(), projection.tokenMajor() ? projected : tokens);
    }

    private void attendChannels() {
      for (int head = 0; head < heads; head++) {
        productTransposedA(ofHead(query, head), ofHead(key, head), rowsOfHead(products, head));
      }
      Buffer maps = channelAttention.buffer();
      training.copy(products.buffer(), maps);
      backend.scaleRuns(maps, p.temperature(), (long) d * d);
      backend.softmax(maps, maps, d);
    }

    private void attendTokens() {
      for (int head = 0; head < heads; head++) {
        product(ofHead(query, head), rowsOfHead(keys, head), tokensOfHead(spatialAttention, head));
      }
      Buffer maps = spatialAttention.buffer();
      backend.scaleRuns(maps, p.temperature2(), (long) tokens * projected);
      backend.softmax(maps, maps, projected);
    }

    private MatrixView dropped(MatrixView maps, Dropout dropout) {
      if (dropout.isNone()) {
        return maps;
      }
      MatrixView dropped = matrix(maps.rows(), maps.columns());
      training.dropout(maps.buffer(), dropped.buffer(), dropout, firstIndex(maps));
      return dropped;
    }

    private long firstIndex(MatrixView maps) {
      return item * maps.buffer().elements();
    }

    private void applyMaps() {
      MatrixView channelOutputs = MatrixView.of(channelBranch, channels);
      for (int head = 0; head < heads; head++) {
        productTransposedB(
            ofHead(channelValue, head),
            rowsOfHead(droppedChannelAttention, head),
            ofHead(channelOutputs, head));
        productTransposedB(
            rowsOfHead(values, head),
            tokensOfHead(droppedSpatialAttention, head),
            outputOfHead(spatialBranch, head));
      }
    }

    void fuse(Buffer out) {
      Concatenation fusion = p.fusion();
      if (fusion == null) {
        backend.add(spatialBranch, channelBranch, out);
        return;
      }
      int half = channels / 2;
      MatrixView rows = MatrixView.of(out, channels);
      linear(spatialBranch, fusion.spatialWeight(), fusion.spatialBias(), rows.columns(0, half));
      linear(channelBranch, fusion.channelWeight(), fusion.channelBias(), rows.columns(half, half));
    }

    private void linear(Buffer x, Buffer weight, Buffer bias, MatrixView y) {
      productTransposedB(MatrixView.of(x, channels), MatrixView.of(weight, channels), y);
      backend.addBias(y, bias);
    }

    void backward(Buffer dout, PairedAttentionParameters gradients, Buffer du) {
      Buffer dspatial = dout;
      Buffer dchannel = dout;
      Concatenation fusion = p.fusion();
      if (fusion != null) {
        Concatenation to = Objects.requireNonNull(gradients.fusion());
        MatrixView rows = MatrixView.of(dout, channels);
        int half = channels / 2;
        dspatial =
            linearBackward(
                rows.columns(0, half),
                spatialBranch,
                fusion.spatialWeight(),
                to.spatialWeight(),
                to.spatialBias());
        dchannel =
            linearBackward(
                rows.columns(half, half),
                channelBranch,
                fusion.channelWeight(),
                to.channelWeight(),
                to.channelBias());
      }
      MatrixView dprojections = matrix(tokens, 4 * channels);
      MatrixView dquery = part(dprojections, 0);
      MatrixView dkey = part(dprojections, 1);
      MatrixView dkeys = matrix(channels, projected);
      MatrixView dvalues = matrix(channels, projected);
      spatialBackward(dspatial, gradients, dquery, dkeys, dvalues);
      channelBackward(dchannel, gradients, dquery, dkey, part(dprojections, 2));
      training.normalizeColumnsBackward(dquery, query, queryNorms);
      training.normalizeColumnsBackward(dkey, key, keyNorms);
      projectBackward(dvalues, p.values(), part(dprojections, 3), false);
      weightBackward(dvalues, spatialValue, p.values(), gradients.values());
      projectBackward(dkeys, p.keys(), dkey, true);
      // the keys lie normalized: their norms move to the other factor
      biasBackward(dkeys, gradients.keys());
      backend.scaleRuns(dkeys.buffer(), keyNorms, projected);
      weightOnly(dkeys, key, p.keys(), gradients.keys());
      MatrixView qkvv = MatrixView.of(p.qkvv(), channels);
      product(dprojections, qkvv, MatrixView.of(du, channels));
      backend.matrixProduct(
          dprojections, true, u, false, MatrixView.of(gradients.qkvv(), channels), true);
    }

    private Buffer linearBackward(
        MatrixView dy, Buffer x, Buffer weight, Buffer dweight, Buffer dbias) {
      Buffer dx = allocate((long) tokens * channels);
      product(dy, MatrixView.of(weight, channels), MatrixView.of(dx, channels));
      backend.matrixProduct(
          dy, true, MatrixView.of(x, channels), false, MatrixView.of(dweight, channels), true);
      training.addColumnSums(dy, dbias);
      return dx;
    }

    private void spatialBackward(
        Buffer dbranch,
        PairedAttentionParameters gradients,
        MatrixView dquery,
        MatrixView dkeys,
        MatrixView dvalues) {
      MatrixView dmaps = matrix((long) heads * tokens, projected);
      for (int head = 0; head < heads; head++) {
        MatrixView dy = outputOfHead(dbranch, head);
        product(dy, tokensOfHead(droppedSpatialAttention, head), rowsOfHead(dvalues, head));
        productTransposedA(dy, rowsOfHead(values, head), tokensOfHead(dmaps, head));
      }
      dropoutBackward(dmaps, spatialMaps);
      training.softmaxBackward(
          dmaps.buffer(), spatialAttention.buffer(), dmaps.buffer(), projected);
      for (int head = 0; head < heads; head++) {
        productTransposedA(ofHead(query, head), tokensOfHead(dmaps, head), rowsOfHead(dkeys, head));
      }
      // t2 scales the map as well as it would the keys, which are fewer
      training.scaleRunsBackward(
          dkeys.buffer(),
          keys.buffer(),
          p.temperature2(),
          gradients.temperature2(),
          (long) d * projected);
      MatrixView scaledKeys = matrix(channels, projected);
      training.copy(keys.buffer(), scaledKeys.buffer());
      backend.scaleRuns(scaledKeys.buffer(), p.temperature2(), (long) d * projected);
      for (int head = 0; head < heads; head++) {
        productTransposedB(
            tokensOfHead(dmaps, head), rowsOfHead(scaledKeys, head), ofHead(dquery, head));
      }
    }

    /** Adds to {@code dquery}. */
    private void channelBackward(
        Buffer dbranch,
        PairedAttentionParameters gradients,
        MatrixView dquery,
        MatrixView dkey,
        MatrixView dvalue) {
      MatrixView dy = MatrixView.of(dbranch, channels);
      MatrixView dmaps = matrix(channels, d);
      for (int head = 0; head < heads; head++) {
        product(ofHead(dy, head), rowsOfHead(droppedChannelAttention, head), ofHead(dvalue, head));
        productTransposedA(ofHead(dy, head), ofHead(channelValue, head), rowsOfHead(dmaps, head));
      }
      dropoutBackward(dmaps, channelMaps);
      training.softmaxBackward(dmaps.buffer(), channelAttention.buffer(), dmaps.buffer(), d);
      training.scaleRunsBackward(
          dmaps.buffer(),
          products.buffer(),
          p.temperature(),
          gradients.temperature(),
          (long) d * d);
      for (int head = 0; head < heads; head++) {
        MatrixView map = rowsOfHead(dmaps, head);
        backend.matrixProduct(ofHead(key, head), false, map, true, ofHead(dquery, head), true);
        product(ofHead(query, head), map, ofHead(dkey, head));
      }
    }

    private void dropoutBackward(MatrixView dmaps, Dropout dropout) {
      if (!dropout.isNone()) {
        training.dropout(dmaps.buffer(), dmaps.buffer(), dropout, firstIndex(dmaps));
      }
    }

    /** Gradient of what was projected, (N, C), from that of the projection, (C, P). */
    private void projectBackward(
        MatrixView dy, Projection projection, MatrixView dx, boolean accumulate) {
      backend.matrixProduct(weight(projection), !projection.tokenMajor(), dy, true, dx, accumulate);
    }

    private void weightBackward(
        MatrixView dy, MatrixView x, Projection projection, Projection gradients) {
      biasBackward(dy, gradients);
      weightOnly(dy, x, projection, gradients);
    }

    private void biasBackward(MatrixView dy, Projection gradients) {
      if (gradients.bias() != null) {
        training.addColumnSums(dy, gradients.bias());
      }
    }

    private void weightOnly(
        MatrixView dy, MatrixView x, Projection projection, Projection gradients) {
      MatrixView dweight = weight(gradients);
      if (projection.tokenMajor()) {
        addProduct(x, dy, dweight);
      } else {
        backend.matrixProduct(dy, true, x, true, dweight, true);
      }
    }
  }
}
