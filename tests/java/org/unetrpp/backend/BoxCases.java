package org.unetrpp.backend;

import static org.unetrpp.backend.Values.Role.PARAMETER;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.PairedAttentionParameters.Concatenation;
import org.unetrpp.backend.PairedAttentionParameters.Projection;
import org.unetrpp.backend.ResidualBlockParameters.Tail;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/** The boxes of the figure in evaluation mode, on random parameters. */
final class BoxCases {
  /**
   * Of rounding errors in a box: some dozen operations, of which each next one keeps the relative
   * size, because all of them normalize.
   */
  private static final double GROWTH = 5;

  private final List<ContractCase> cases = new ArrayList<>();

  private BoxCases() {}

  static List<ContractCase> all() {
    BoxCases all = new BoxCases();
    all.attentions();
    all.patchEmbeddings();
    all.embeddedAttentions();
    all.residualBlocks();
    all.upsamplings();
    all.heads();
    all.fullResolutions();
    return all.cases;
  }

  /** A box on values of its own: calls it and returns its output. */
  private interface BoxCall {
    Buffer run(Boxes boxes, Values v);
  }

  private void add(String name, BoxCall call) {
    cases.add(
        new ContractCase(
            name, (backend, v) -> v.result("y", call.run(backend.boxes(), v), GROWTH)));
  }

  /** The forms of attention in the published variants. */
  private enum Style {
    SHARED_PROJECTION,
    TWO_PROJECTIONS,
    TOKEN_MAJOR_SUM
  }

  private void attentions() {
    attention(32, 4, 1024, 64, Style.SHARED_PROJECTION, 1);
    attention(32, 4, 1000, 64, Style.TWO_PROJECTIONS, 2);
    attention(32, 4, 777, 64, Style.TOKEN_MAJOR_SUM, 2);
    attention(64, 4, 1025, 16, Style.SHARED_PROJECTION, 1);
    attention(128, 4, 400, 64, Style.TWO_PROJECTIONS, 1);
    attention(256, 4, 64, 32, Style.SHARED_PROJECTION, 2);
    attention(256, 4, 50, 32, Style.TOKEN_MAJOR_SUM, 1);
    attention(12, 2, 199, 7, Style.TWO_PROJECTIONS, 3);
    attention(12, 3, 31, 5, Style.TOKEN_MAJOR_SUM, 2);
    attention(8, 1, 1, 3, Style.SHARED_PROJECTION, 1);
    attention(4, 4, 70, 1, Style.TWO_PROJECTIONS, 1);
  }

  private void attention(
      int channels, int heads, int tokens, int projected, Style style, int batch) {
    String name =
        "attention, %s, %d channels in %d heads, %d times %d tokens to %d"
            .formatted(style, channels, heads, batch, tokens, projected);
    add(
        name,
        (boxes, v) -> {
          PairedAttentionParameters parameters =
              attention(v, channels, heads, tokens, projected, style);
          Buffer x = v.activations((long) batch * tokens * channels);
          Buffer y = v.unwritten(x.elements());
          boxes.pairedAttention(x, parameters, y, batch);
          return y;
        });
  }

  private static PairedAttentionParameters attention(
      Values v, int channels, int heads, int tokens, int projected, Style style) {
    boolean tokenMajor = style == Style.TOKEN_MAJOR_SUM;
    Projection keys = projection(v, "E", tokens, projected, tokenMajor);
    Projection values =
        style == Style.TWO_PROJECTIONS ? projection(v, "F", tokens, projected, false) : keys;
    int half = channels / 2;
    return new PairedAttentionParameters(
        "block",
        channels,
        heads,
        tokens,
        projected,
        v.parameters((long) tokens * channels, 0, 0.5),
        v.parameters(channels, 1, 0.2),
        v.parameters(channels, 0, 0.2),
        v.parameters(channels),
        v.parameters(heads, 2, 0.4),
        v.parameters(heads, 2, 0.4),
        v.parameters(4L * channels * channels, 0, 0.3),
        keys,
        values,
        tokenMajor
            ? null
            : new Concatenation(
                v.parameters((long) half * channels, 0, 0.3),
                v.parameters(half, 0, 0.5),
                v.parameters((long) half * channels, 0, 0.3),
                v.parameters(half, 0, 0.5)));
  }

  private static Projection projection(
      Values v, String name, int tokens, int projected, boolean tokenMajor) {
    Buffer weight = v.parameters((long) projected * tokens, 0, 0.1);
    return new Projection(
        name, weight, tokenMajor, tokenMajor ? null : v.parameters(projected, 0, 0.5));
  }

  private void patchEmbeddings() {
    patchEmbedding(1, 32, 1, 1);
    patchEmbedding(4, 32, 4, 2);
    patchEmbedding(32, 64, 32, 2);
    patchEmbedding(3, 6, 3, 1);
  }

  private void patchEmbedding(int in, int out, int groups, int batch) {
    Extents kernel = new Extents(2, 4, 4);
    Grid grid = new Grid(batch, kernel.times(new Extents(3, 5, 2)));
    add(
        "patch embedding, %d to %d channels in %d groups, batch %d"
            .formatted(in, out, groups, batch),
        (boxes, v) -> {
          PatchEmbeddingParameters parameters = embedding(v, in, out, groups, kernel);
          Buffer y = v.unwritten(grid.dividedBy(kernel).rows() * out);
          boxes.patchEmbedding(v.activations(grid.rows() * in), parameters, y, grid);
          return y;
        });
  }

  private void embeddedAttentions() {
    embeddedAttention(1, 32, 64, Style.SHARED_PROJECTION, 2);
    embeddedAttention(32, 64, 16, Style.TWO_PROJECTIONS, 1);
    embeddedAttention(4, 12, 5, Style.TOKEN_MAJOR_SUM, 1);
  }

  private void embeddedAttention(int in, int out, int projected, Style style, int batch) {
    Extents kernel = new Extents(2, 4, 4);
    Grid grid = new Grid(batch, kernel.times(new Extents(4, 5, 3)));
    Grid patches = grid.dividedBy(kernel);
    int tokens = Math.toIntExact(patches.tokens());
    add(
        "embedding and attention, %d to %d channels, %s, batch %d".formatted(in, out, style, batch),
        (boxes, v) -> {
          PatchEmbeddingParameters embedding = embedding(v, in, out, in, kernel);
          PairedAttentionParameters attention = attention(v, out, 4, tokens, projected, style);
          Buffer y = v.unwritten(patches.rows() * out);
          boxes.embeddedAttention(v.activations(grid.rows() * in), embedding, attention, y, grid);
          return y;
        });
  }

  private static PatchEmbeddingParameters embedding(
      Values v, int in, int out, int groups, Extents kernel) {
    return new PatchEmbeddingParameters(
        "stem",
        Convolution.patches(in, out, kernel),
        v.parameters(kernel.voxels() * in * out, 0, 0.3),
        groups,
        v.parameters(out, 1, 0.2),
        v.parameters(out, 0, 0.5));
  }

  private void residualBlocks() {
    batchNormBlock(32, true, 1, 4, 8, 8);
    batchNormBlock(64, true, 2, 3, 4, 4);
    batchNormBlock(128, false, 1, 2, 3, 5);
    batchNormBlock(256, true, 2, 2, 2, 4);
    batchNormBlock(16, true, 2, 1, 6, 7);
    batchNormBlock(5, true, 1, 3, 2, 2);
    instanceNormBlock(1, 16, false, 1, 6, 20, 24);
    instanceNormBlock(4, 16, false, 2, 5, 12, 12);
    instanceNormBlock(16, 16, false, 2, 4, 20, 20);
    instanceNormBlock(3, 5, false, 2, 3, 7, 5);
    instanceNormBlock(16, 16, false, 1, 1, 9, 9);
    instanceNormBlock(6, 6, true, 1, 3, 4, 5);
  }

  private void batchNormBlock(
      int channels, boolean tail, int batch, int depth, int height, int width) {
    Grid grid = new Grid(batch, new Extents(depth, height, width));
    residualBlock("batch norm", channels, channels, true, tail, grid);
  }

  private void instanceNormBlock(
      int in, int out, boolean tail, int batch, int depth, int height, int width) {
    Grid grid = new Grid(batch, new Extents(depth, height, width));
    residualBlock("instance norm", in, out, false, tail, grid);
  }

  private void residualBlock(
      String norm, int in, int out, boolean batchNorm, boolean tail, Grid grid) {
    String name =
        "residual block, %s, %d to %d channels, %d of %s"
            .formatted(norm, in, out, grid.batch(), grid.extents());
    add(
        tail ? name + ", tail" : name,
        (boxes, v) -> {
          ResidualBlockParameters parameters =
              new ResidualBlockParameters(
                  "block",
                  in,
                  out,
                  kernel3(v, in, out),
                  batchNorm ? batchNorm(v, out) : new ChannelNorm.Instance(),
                  kernel3(v, out, out),
                  batchNorm ? batchNorm(v, out) : new ChannelNorm.Instance(),
                  in == out ? null : v.parameters((long) in * out),
                  tail
                      ? new Tail("tail", v.parameters((long) out * out, 0, 0.3), v.parameters(out))
                      : null);
          @Nullable Buffer skip = tail ? v.activations(grid.rows() * out) : null;
          Buffer y = v.unwritten(grid.rows() * out);
          boxes.residualBlock(v.activations(grid.rows() * in), parameters, skip, y, grid);
          return y;
        });
  }

  private static Buffer kernel3(Values v, int in, int out) {
    return v.parameters(27L * in * out, 0, 1 / Math.sqrt(27.0 * in));
  }

  private static ChannelNorm.Batch batchNorm(Values v, int channels) {
    return new ChannelNorm.Batch(
        "norm",
        v.parameters(channels, 1, 0.2),
        v.parameters(channels, 0, 0.5),
        v.parameters(channels, 0, 0.5),
        v.positive(PARAMETER, channels));
  }

  private void upsamplings() {
    upsampling(32, 16, new Extents(2, 4, 4));
    upsampling(256, 128, new Extents(2, 2, 2));
    upsampling(5, 3, new Extents(1, 4, 4));
  }

  private void upsampling(int in, int out, Extents stride) {
    Grid grid = new Grid(2, new Extents(3, 2, 5));
    add(
        "upsampling, %d to %d channels, by %s".formatted(in, out, stride),
        (boxes, v) -> {
          Buffer weight = v.parameters(stride.voxels() * in * out, 0, 0.2);
          Buffer skip = v.activations(grid.times(stride).rows() * out);
          Buffer y = v.unwritten(skip.elements());
          UpsampleParameters parameters = new UpsampleParameters("up", in, out, stride, weight);
          boxes.upsample(v.activations(grid.rows() * in), parameters, skip, y, grid);
          return y;
        });
  }

  private void heads() {
    for (HeadOutput output : HeadOutput.values()) {
      head(16, 14, new Grid(2, new Extents(3, 30, 35)), output);
      head(5, 3, new Grid(1, new Extents(2, 3, 4)), output);
    }
    head(3, 1, new Grid(1, Extents.cube(1)), HeadOutput.PROBABILITIES);
  }

  private void head(int in, int classes, Grid grid, HeadOutput output) {
    add(
        "head, %d channels to %d classes, %d of %s, %s"
            .formatted(in, classes, grid.batch(), grid.extents(), output),
        (boxes, v) -> {
          HeadParameters parameters =
              new HeadParameters(
                  "out",
                  in,
                  classes,
                  v.parameters((long) classes * in, 0, 0.5),
                  v.parameters(classes));
          Buffer y = v.unwritten(grid.rows() * classes);
          boxes.head(v.activations(grid.rows() * in), parameters, output, y, grid);
          return y;
        });
  }

  private void fullResolutions() {
    for (HeadOutput output : HeadOutput.values()) {
      fullResolution(1, 16, 32, 14, new Extents(2, 4, 4), 1, new Extents(2, 4, 9), output);
      fullResolution(4, 16, 32, 4, Extents.cube(4), 2, new Extents(1, 3, 2), output);
    }
    fullResolution(1, 16, 32, 2, new Extents(1, 4, 4), 2, new Extents(3, 1, 2), HeadOutput.LOGITS);
    fullResolution(3, 5, 6, 3, new Extents(1, 2, 3), 1, new Extents(2, 3, 2), HeadOutput.LOGITS);
  }

  private void fullResolution(
      int image,
      int width,
      int features,
      int classes,
      Extents stride,
      int batch,
      Extents coarse,
      HeadOutput output) {
    Grid grid = new Grid(batch, coarse).times(stride);
    add(
        "full resolution, %d over %d to %d channels, %d of %s, %s"
            .formatted(image, width, classes, batch, grid.extents(), output),
        (boxes, v) -> {
          FullResolutionParameters parameters =
              new FullResolutionParameters(
                  "decoder2",
                  instanceNorm(v, "encoder1", image, width),
                  new UpsampleParameters(
                      "up",
                      features,
                      width,
                      stride,
                      v.parameters(stride.voxels() * features * width, 0, 0.2)),
                  instanceNorm(v, "decoder2.decoder_block.0", width, width),
                  new HeadParameters(
                      "out1",
                      width,
                      classes,
                      v.parameters((long) classes * width, 0, 0.5),
                      v.parameters(classes)));
          Buffer x = v.activations(grid.rows() * image);
          Buffer ofDecoder = v.activations(batch * coarse.voxels() * features);
          return boxes.fullResolution(x, parameters, grid).finish(ofDecoder, output);
        });
  }

  private static ResidualBlockParameters instanceNorm(Values v, String name, int in, int out) {
    return new ResidualBlockParameters(
        name,
        in,
        out,
        kernel3(v, in, out),
        new ChannelNorm.Instance(),
        kernel3(v, out, out),
        new ChannelNorm.Instance(),
        in == out ? null : v.parameters((long) in * out),
        null);
  }
}
