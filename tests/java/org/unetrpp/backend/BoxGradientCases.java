package org.unetrpp.backend;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.PairedAttentionParameters.Concatenation;
import org.unetrpp.backend.PairedAttentionParameters.Projection;
import org.unetrpp.backend.ResidualBlockParameters.Tail;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/** Every box in training mode, in the forms that networks have, at odd sizes. */
final class BoxGradientCases {
  private static final int BATCH = 2;
  private static final Extents ODD = new Extents(3, 5, 4);
  private static final Grid GRID = new Grid(BATCH, ODD);
  private static final Dropout DROPOUT = new Dropout(0.25, 7, 3, 11);
  private static final Dropout OTHER_DROPOUT = new Dropout(0.4, 7, 4, 11);

  private BoxGradientCases() {}

  static Map<String, GradientCase> all() {
    Map<String, GradientCase> cases = new TreeMap<>();
    cases.put("patch embedding", patchEmbedding());
    putAttention(cases, 60, 5);
    putAttention(cases, 135, 5); // more than 16 tokens for each channel
    putAttention(cases, 135, 8); // and whole blocks of random bits for each token
    cases.put("residual block, instance, other channels", residual(3, 8, false));
    cases.put("residual block, instance, same channels", residual(8, 8, false));
    cases.put("residual block, batch, tail", residual(8, 8, true));
    cases.put("upsampling", upsample());
    cases.put("head", head());
    return cases;
  }

  private static void putAttention(Map<String, GradientCase> cases, int tokens, int projected) {
    String suffix = ", %d to %d tokens".formatted(tokens, projected);
    cases.put(
        "attention, linear projection shared, concatenated" + suffix,
        attention(tokens, projected, true, true, false));
    cases.put(
        "attention, linear projections, concatenated" + suffix,
        attention(tokens, projected, false, true, false));
    cases.put(
        "attention, matrix, summed" + suffix, attention(tokens, projected, true, false, true));
  }

  private static GradientCase patchEmbedding() {
    Extents stride = new Extents(1, 2, 2);
    Grid grid = new Grid(BATCH, new Extents(3, 6, 4));
    Convolution shape = Convolution.patches(2, 6, stride);
    int outputs = BATCH * 3 * 3 * 2 * 6;
    return new GradientCase(
            outputs,
            (backend, leaves, y) -> {
              var pullback =
                  backend
                      .trainingBoxes()
                      .patchEmbedding(leaves.get(0), embedding(shape, leaves), y, grid);
              return (dy, to) -> pullback.apply(dy, embedding(shape, to), to.get(0));
            })
        .activations(BATCH * 72 * 2, 1)
        .parameter(6 * 2 * 4, 0, 0.5)
        .parameter(6, 1, 0.3)
        .parameter(6, 0, 0.3);
  }

  private static PatchEmbeddingParameters embedding(Convolution shape, List<Buffer> leaves) {
    return new PatchEmbeddingParameters(
        "embedding", shape, leaves.get(1), 2, leaves.get(2), leaves.get(3));
  }

  private static GradientCase attention(
      int tokens, int projected, boolean shared, boolean concatenated, boolean matrix) {
    int channels = 8;
    GradientCase check =
        new GradientCase(
                BATCH * tokens * channels,
                (backend, leaves, y) -> {
                  var pullback =
                      backend
                          .trainingBoxes()
                          .pairedAttention(
                              leaves.get(0),
                              attention(tokens, projected, leaves, shared, concatenated, matrix),
                              DROPOUT,
                              OTHER_DROPOUT,
                              y,
                              BATCH);
                  return (dy, to) ->
                      pullback.apply(
                          dy,
                          attention(tokens, projected, to, shared, concatenated, matrix),
                          to.get(0));
                })
            .activations(BATCH * tokens * channels, 1)
            .parameter(tokens * channels, 0, 0.5) // positions
            .parameter(channels, 1, 0.3) // norm
            .parameter(channels, 0, 0.3)
            .parameter(channels, 0.5, 0.5) // gamma
            .parameter(2, 1, 0.3) // temperature
            .parameter(2, 1.5, 0.3)
            .parameter(4 * channels * channels, 0, 0.6) // qkvv
            .parameter(tokens * projected, 0, 0.3)
            .parameter(tokens * projected, 0, 0.3)
            .parameter(projected, 0, 0.3)
            .parameter(projected, 0, 0.3);
    return check
        .parameter(channels / 2 * channels, 0, 0.5)
        .parameter(channels / 2, 0, 0.3)
        .parameter(channels / 2 * channels, 0, 0.5)
        .parameter(channels / 2, 0, 0.3);
  }

  private static PairedAttentionParameters attention(
      int tokens,
      int projected,
      List<Buffer> leaves,
      boolean shared,
      boolean concatenated,
      boolean matrix) {
    Projection keys = new Projection("E", leaves.get(8), matrix, matrix ? null : leaves.get(10));
    Projection values =
        shared ? keys : new Projection("F", leaves.get(9), matrix, matrix ? null : leaves.get(11));
    return new PairedAttentionParameters(
        "attention",
        8,
        2,
        tokens,
        projected,
        leaves.get(1),
        leaves.get(2),
        leaves.get(3),
        leaves.get(4),
        leaves.get(5),
        leaves.get(6),
        leaves.get(7),
        keys,
        values,
        concatenated
            ? new Concatenation(leaves.get(12), leaves.get(13), leaves.get(14), leaves.get(15))
            : null);
  }

  private static GradientCase residual(int in, int out, boolean batchNorm) {
    int voxels = BATCH * Math.toIntExact(ODD.voxels());
    return new GradientCase(
            voxels * out,
            (backend, leaves, y) -> {
              Buffer skip = batchNorm ? leaves.get(10) : null;
              var pullback =
                  backend
                      .trainingBoxes()
                      .residualBlock(
                          leaves.get(0),
                          residual(backend, leaves, in, out, batchNorm),
                          skip,
                          batchNorm ? DROPOUT : Dropout.NONE,
                          y,
                          GRID);
              return (dy, to) -> {
                pullback.apply(dy, residual(backend, to, in, out, batchNorm), to.get(0));
                if (batchNorm) {
                  backend.training().copy(dy, to.get(10)); // as the box says
                }
              };
            })
        .activations(voxels * in, 1)
        .parameter(out * in * 27, 0, 0.3)
        .parameter(out * out * 27, 0, 0.2)
        .parameter(out * in, 0, 0.7) // shortcut
        .parameter(out, 1, 0.3)
        .parameter(out, 0, 0.3)
        .parameter(out, 1, 0.3)
        .parameter(out, 0, 0.3)
        .parameter(out * out, 0, 0.5) // tail
        .parameter(out, 0, 0.5)
        .activations(voxels * out, 1);
  }

  private static ResidualBlockParameters residual(
      Backend backend, List<Buffer> leaves, int in, int out, boolean batchNorm) {
    return new ResidualBlockParameters(
        "block",
        in,
        out,
        leaves.get(1),
        norm(backend, leaves.get(4), leaves.get(5), batchNorm),
        leaves.get(2),
        norm(backend, leaves.get(6), leaves.get(7), batchNorm),
        in == out ? null : leaves.get(3),
        tail(leaves, batchNorm));
  }

  private static @Nullable Tail tail(List<Buffer> leaves, boolean there) {
    return there ? new Tail("tail", leaves.get(8), leaves.get(9)) : null;
  }

  private static ChannelNorm norm(Backend backend, Buffer gamma, Buffer beta, boolean batchNorm) {
    if (!batchNorm) {
      return new ChannelNorm.Instance();
    }
    Buffer mean = backend.scopes().allocate(gamma.dtype(), gamma.elements());
    Buffer variance = backend.scopes().allocate(gamma.dtype(), gamma.elements());
    backend.training().clear(mean);
    backend.training().clear(variance);
    return new ChannelNorm.Batch("norm", gamma, beta, mean, variance);
  }

  private static GradientCase upsample() {
    Extents stride = new Extents(1, 2, 2);
    int outputs = BATCH * 60 * 4 * 3;
    return new GradientCase(
            outputs,
            (backend, leaves, y) -> {
              var pullback =
                  backend
                      .trainingBoxes()
                      .upsample(leaves.get(0), upsampling(stride, leaves), leaves.get(2), y, GRID);
              return (dy, to) -> {
                pullback.apply(dy, upsampling(stride, to), to.get(0));
                backend.training().copy(dy, to.get(2)); // as the box says
              };
            })
        .activations(BATCH * 60 * 6, 1)
        .parameter(6 * 3 * 4, 0, 0.5)
        .activations(outputs, 1);
  }

  private static UpsampleParameters upsampling(Extents stride, List<Buffer> leaves) {
    return new UpsampleParameters("upsampling", 6, 3, stride, leaves.get(1));
  }

  private static GradientCase head() {
    return new GradientCase(
            BATCH * 60 * 3,
            (backend, leaves, y) -> {
              var pullback = backend.trainingBoxes().head(leaves.get(0), head(leaves), y, GRID);
              return (dy, to) -> pullback.apply(dy, head(to), to.get(0));
            })
        .activations(BATCH * 60 * 5, 1)
        .parameter(5 * 3, 0, 0.7)
        .parameter(3, 0, 0.7);
  }

  private static HeadParameters head(List<Buffer> leaves) {
    return new HeadParameters("head", 5, 3, leaves.get(1), leaves.get(2));
  }
}
