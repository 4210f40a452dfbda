package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.ComposedBoxes;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.FullResolution;
import org.unetrpp.backend.FullResolutionParameters;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PatchEmbeddingParameters;
import org.unetrpp.backend.Probe;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.UpsampleParameters;
import org.unetrpp.backend.cuda.BatchNormKernels.Folded;
import org.unetrpp.backend.cuda.TensorAttention.EntryNorm;
import org.unetrpp.memory.Buffer;

/**
 * The boxes with attention as kernels of its own, where those take its sizes, and with what follows
 * a convolution in the passes that have to be: batch normalization is part of the weights, bias,
 * residual and LeakyReLU are done where a convolution is written; the statistics of other norms are
 * taken there, and applied where the next convolution reads, or in one pass with residual and
 * LeakyReLU; a skip is added and classes come first where they are written. The probe is shown what
 * exists.
 */
final class CudaBoxes extends ComposedBoxes {
  private final CudaBackend cuda;
  private final PairedAttentionKernels attention;
  private final TensorAttention tensorAttention;
  private final FullResolutionKernels fullResolution;

  CudaBoxes(CudaBackend cuda) {
    super(cuda);
    this.cuda = cuda;
    attention = new PairedAttentionKernels(cuda.context());
    tensorAttention = new TensorAttention(cuda.context());
    fullResolution = new FullResolutionKernels(cuda.context());
  }

  @Override
  public void patchEmbedding(Buffer x, PatchEmbeddingParameters p, Buffer y, Grid grid) {
    int channels = p.convolution().outChannels();
    Grid patches = grid.dividedBy(p.convolution().stride());
    try (var _ = cuda.scopes().open()) {
      Buffer coefficients = embedded(x, p, y, grid);
      cuda.groupNorm().apply(y, coefficients, p.beta(), null, null, 1, y, patches, channels);
      show(p.name() + ".1", y, channels);
    }
  }

  /** The convolution of a patch embedding; returns the coefficients of its norm. */
  private Buffer embedded(Buffer x, PatchEmbeddingParameters p, Buffer y, Grid grid) {
    Convolution shape = p.convolution();
    Buffer coefficients = cuda.groupNorm().coefficients(grid.batch(), shape.outChannels());
    GroupStatistics statistics =
        new GroupStatistics(coefficients, p.gamma(), p.groups(), ChannelNorm.EPSILON);
    measured(x, null, p.weight(), statistics, y, grid, grid.dividedBy(shape.stride()), shape);
    show(p.name() + ".0.conv", y, shape.outChannels());
    return coefficients;
  }

  /** A convolution and the statistics of its result. */
  private void measured(
      Buffer x,
      @Nullable Prologue prologue,
      Buffer weight,
      GroupStatistics statistics,
      Buffer y,
      Grid grid,
      Grid outputs,
      Convolution shape) {
    if (!cuda.convolutions().forward(x, prologue, weight, statistics, y, grid, shape)) {
      cuda.groupNorm().measure(y, statistics, outputs, shape.outChannels());
    }
  }

  @Override
  public void pairedAttention(Buffer x, PairedAttentionParameters p, Buffer y, int batch) {
    if (tensorAttention.takes(x, p, y)) {
      tensorAttention.forward(x, null, p, y, batch);
    } else if (PairedAttentionKernels.take(p)) {
      attention.forward(x, p, y, batch);
    } else {
      super.pairedAttention(x, p, y, batch);
    }
  }

  @Override
  public void embeddedAttention(
      Buffer x,
      PatchEmbeddingParameters embedding,
      PairedAttentionParameters attention,
      Buffer y,
      Grid grid) {
    try (var _ = cuda.scopes().open()) {
      Buffer tokens = cuda.scopes().allocate(y.dtype(), y.elements());
      if (tensorAttention.takes(tokens, attention, y)) {
        Buffer coefficients = embedded(x, embedding, tokens, grid);
        EntryNorm norm = new EntryNorm(coefficients, embedding.beta());
        tensorAttention.forward(tokens, norm, attention, y, grid.batch());
        return;
      }
    }
    super.embeddedAttention(x, embedding, attention, y, grid);
  }

  @Override
  public void residualBlock(
      Buffer x, ResidualBlockParameters p, @Nullable Buffer skip, Buffer y, Grid grid) {
    if (p.norm1() instanceof ChannelNorm.Batch norm1
        && p.norm2() instanceof ChannelNorm.Batch norm2
        && p.shortcut() == null
        && (p.tail() == null || skip != null)) {
      batchNormBlock(x, p, norm1, norm2, skip, y, grid);
    } else if (p.norm1() instanceof ChannelNorm.Instance
        && p.norm2() instanceof ChannelNorm.Instance
        && p.tail() == null) {
      instanceBlock(x, p, y, grid);
    } else {
      super.residualBlock(x, p, skip, y, grid);
    }
  }

  private void batchNormBlock(
      Buffer x,
      ResidualBlockParameters p,
      ChannelNorm.Batch norm1,
      ChannelNorm.Batch norm2,
      @Nullable Buffer skip,
      Buffer y,
      Grid grid) {
    int channels = p.outChannels();
    double slope = ResidualBlockParameters.SLOPE;
    Convolution shape = Convolution.same3(p.inChannels(), channels);
    Folded first = cuda.batchNorm().folded(p.weight1(), norm1, ChannelNorm.EPSILON);
    Folded second = cuda.batchNorm().folded(p.weight2(), norm2, ChannelNorm.EPSILON);
    Convolutions convolutions = cuda.convolutions();
    try (var _ = cuda.scopes().open()) {
      Buffer hidden = cuda.scopes().allocate(y.dtype(), y.elements());
      Epilogue activated = new Epilogue(first.bias(), null, slope);
      convolutions.forward(x, first.weight(), activated, hidden, grid, shape);
      Epilogue added = new Epilogue(second.bias(), x, slope);
      if (p.tail() == null) {
        convolutions.forward(hidden, second.weight(), added, y, grid, shape);
        show(p.name(), y, channels);
        return;
      }
      Tail tail = new Tail(p.tail().weight(), p.tail().bias(), skip);
      if (cuda.probe().equals(Probe.NONE)
          && convolutions.takesTail(hidden, added, tail, y, grid, shape)) {
        convolutions.forward(hidden, second.weight(), added, tail, y, grid, shape);
        return;
      }
      Buffer z = cuda.scopes().allocate(y.dtype(), y.elements());
      convolutions.forward(hidden, second.weight(), added, z, grid, shape);
      show(p.name(), z, channels);
      Epilogue last = new Epilogue(tail.bias(), tail.skip(), 1);
      Convolution pointwise = Convolution.pointwise(channels, channels);
      convolutions.forward(z, tail.weight(), last, y, grid, pointwise);
    }
  }

  private void instanceBlock(Buffer x, ResidualBlockParameters p, Buffer y, Grid grid) {
    int in = p.inChannels();
    int out = p.outChannels();
    double slope = ResidualBlockParameters.SLOPE;
    GroupNormKernels norm = cuda.groupNorm();
    try (var _ = cuda.scopes().open()) {
      GroupStatistics first = instances(grid, out);
      Buffer hidden = cuda.scopes().allocate(y.dtype(), y.elements());
      measured(x, null, p.weight1(), first, hidden, grid, grid, Convolution.same3(in, out));
      show(p.name() + ".conv1", hidden, out);

      Convolution shape = Convolution.same3(out, out);
      Prologue prologue = null;
      if (cuda.convolutions().takesPrologue(hidden, y, grid, shape)) {
        prologue = new Prologue(first.coefficients(), slope);
      } else {
        norm.apply(hidden, first.coefficients(), null, null, null, slope, hidden, grid, out);
      }
      GroupStatistics second = instances(grid, out);
      measured(hidden, prologue, p.weight2(), second, y, grid, grid, shape);
      show(p.name() + ".conv2", y, out);

      Buffer residual = x;
      Buffer coefficients = null;
      if (p.shortcut() != null) {
        residual = hidden; // no longer needed
        GroupStatistics third = instances(grid, out);
        Convolution pointwise = Convolution.pointwise(in, out);
        measured(x, null, p.shortcut(), third, residual, grid, grid, pointwise);
        show(p.name() + ".conv3", residual, out);
        coefficients = third.coefficients();
      }
      norm.apply(y, second.coefficients(), null, residual, coefficients, slope, y, grid, out);
      show(p.name(), y, out);
    }
  }

  /** Room for what instance normalization needs. */
  private GroupStatistics instances(Grid grid, int channels) {
    Buffer coefficients = cuda.groupNorm().coefficients(grid.batch(), channels);
    return new GroupStatistics(coefficients, null, channels, ChannelNorm.EPSILON);
  }

  @Override
  protected void normalize(
      String name,
      Buffer y,
      ChannelNorm norm,
      @Nullable Buffer residual,
      double slope,
      Grid grid,
      int channels) {
    double epsilon = ChannelNorm.EPSILON;
    switch (norm) {
      case ChannelNorm.Instance() ->
          cuda.groupNorm()
              .forwardResidual(
                  y, null, null, residual, slope, y, grid, channels, channels, epsilon);
      case ChannelNorm.Batch batch ->
          cuda.batchNorm().forwardResidual(y, batch, residual, slope, y, channels, epsilon);
    }
    if (residual == null && slope == 1) {
      show(name, y, channels);
    }
  }

  @Override
  public void upsample(Buffer x, UpsampleParameters p, Buffer skip, Buffer y, Grid grid) {
    Convolution shape = Convolution.patches(p.inChannels(), p.outChannels(), p.stride());
    if (!cuda.convolutions().upsample(x, p.weight(), skip, y, grid, shape)) {
      cuda.transposedConvolution().forward(x, p.weight(), skip, y, grid, shape);
    }
  }

  @Override
  public void head(Buffer x, HeadParameters p, HeadOutput output, Buffer y, Grid grid) {
    cuda.head().forward(x, p, output, y, grid);
  }

  @Override
  public FullResolution fullResolution(Buffer x, FullResolutionParameters p, Grid grid) {
    return fullResolution.take(x, p, cuda.computeType())
        ? fullResolution.begin(x, p, grid)
        : super.fullResolution(x, p, grid);
  }
}
