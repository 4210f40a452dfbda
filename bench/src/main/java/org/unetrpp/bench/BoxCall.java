package org.unetrpp.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Boxes;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PatchEmbeddingParameters;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.TrainingBoxes;
import org.unetrpp.backend.UpsampleParameters;
import org.unetrpp.memory.Buffer;

/** One box as a network runs it: its parameters, the size of what goes in, and what it costs. */
sealed interface BoxCall {
  /** The box in published checkpoints. */
  String name();

  /** Kind and sizes: boxes of the same shape cost the same. */
  String shape();

  /** Values of the input. */
  long inputValues();

  /** Values of what the box adds to; 0 if there is none. */
  long skipValues();

  /** Values of the output. */
  long outputValues();

  /** The buffers of the parameters, statistics included. */
  List<Buffer> parameterBuffers();

  /**
   * Multiply-adds of a forward pass by the published counting rules, norms left out: what the
   * formulas of the paper take, whatever the engine makes of them.
   */
  long multiplyAdds();

  /** Runs the box in evaluation mode. */
  void evaluate(Boxes boxes, Buffer x, @Nullable Buffer skip, Buffer y);

  /**
   * Runs the box and its gradient.
   *
   * @param gradients the same box over the network's gradients
   */
  void train(TrainingBoxes boxes, BoxCall gradients, Tensors tensors);

  /**
   * What a box in training reads and writes.
   *
   * @param skip none if the box adds to nothing
   * @param dx none if the input is the image
   */
  record Tensors(Buffer x, @Nullable Buffer skip, Buffer y, Buffer dy, @Nullable Buffer dx) {}

  /** Probability of dropout in the published networks; the value does not change the cost. */
  double DROPOUT = 0.1;

  /** A dropout that leaves something out. */
  static Dropout dropout(int layer) {
    return new Dropout(DROPOUT, 1, layer, 0);
  }

  /** A patch embedding. */
  record Embedding(PatchEmbeddingParameters parameters, Grid grid) implements BoxCall {
    @Override
    public String name() {
      return parameters.name();
    }

    @Override
    public String shape() {
      return "embedding %s %s".formatted(grid, parameters.convolution());
    }

    @Override
    public long inputValues() {
      return grid.rows() * parameters.convolution().inChannels();
    }

    @Override
    public long skipValues() {
      return 0;
    }

    @Override
    public long outputValues() {
      return grid.dividedBy(parameters.convolution().stride()).rows()
          * parameters.convolution().outChannels();
    }

    @Override
    public List<Buffer> parameterBuffers() {
      return List.of(parameters.weight(), parameters.gamma(), parameters.beta());
    }

    @Override
    public long multiplyAdds() {
      return inputValues() * parameters.convolution().outChannels();
    }

    @Override
    public void evaluate(Boxes boxes, Buffer x, @Nullable Buffer skip, Buffer y) {
      boxes.patchEmbedding(x, parameters, y, grid);
    }

    @Override
    public void train(TrainingBoxes boxes, BoxCall gradients, Tensors tensors) {
      boxes
          .patchEmbedding(tensors.x(), parameters, tensors.y(), grid)
          .apply(tensors.dy(), ((Embedding) gradients).parameters, tensors.dx());
    }
  }

  /** Paired attention with positions, norm, scale and residual. */
  record Attention(PairedAttentionParameters parameters, int batch) implements BoxCall {
    @Override
    public String name() {
      return parameters.name();
    }

    @Override
    public String shape() {
      return "attention of %d x %d tokens, %d channels, %d projected"
          .formatted(batch, parameters.tokens(), parameters.channels(), parameters.projected());
    }

    @Override
    public long inputValues() {
      return (long) batch * parameters.tokens() * parameters.channels();
    }

    @Override
    public long skipValues() {
      return 0;
    }

    @Override
    public long outputValues() {
      return inputValues();
    }

    @Override
    public List<Buffer> parameterBuffers() {
      PairedAttentionParameters p = parameters;
      List<Buffer> buffers = new ArrayList<>();
      buffers.addAll(List.of(p.positions(), p.normGamma(), p.normBeta(), p.gamma()));
      buffers.addAll(List.of(p.temperature(), p.temperature2(), p.qkvv()));
      Stream.of(p.keys(), p.values())
          .distinct()
          .forEach(projection -> {
            buffers.add(projection.weight());
            addPresent(buffers, projection.bias());
          });
      if (p.fusion() != null) {
        buffers.add(p.fusion().spatialWeight());
        buffers.add(p.fusion().spatialBias());
        buffers.add(p.fusion().channelWeight());
        buffers.add(p.fusion().channelBias());
      }
      return buffers;
    }

    @Override
    public long multiplyAdds() {
      long channels = parameters.channels();
      long projections = 2L * parameters.projected();
      long maps = 2L * (parameters.headChannels() + parameters.projected());
      long fusion = parameters.fusion() == null ? 0 : channels;
      return inputValues() * (4 * channels + projections + maps + fusion);
    }

    @Override
    public void evaluate(Boxes boxes, Buffer x, @Nullable Buffer skip, Buffer y) {
      boxes.pairedAttention(x, parameters, y, batch);
    }

    @Override
    public void train(TrainingBoxes boxes, BoxCall gradients, Tensors tensors) {
      boxes
          .pairedAttention(tensors.x(), parameters, dropout(0), dropout(1), tensors.y(), batch)
          .apply(tensors.dy(), ((Attention) gradients).parameters, tensors.dx());
    }
  }

  /** A residual convolution block, with or without a tail. */
  record Residual(ResidualBlockParameters parameters, Grid grid) implements BoxCall {
    @Override
    public String name() {
      return parameters.name();
    }

    @Override
    public String shape() {
      return "residual %s %d to %d, %s, %s tail"
          .formatted(
              grid,
              parameters.inChannels(),
              parameters.outChannels(),
              parameters.norm1().getClass().getSimpleName(),
              parameters.tail() == null ? "no" : "with");
    }

    @Override
    public long inputValues() {
      return grid.rows() * parameters.inChannels();
    }

    @Override
    public long skipValues() {
      return parameters.tail() == null ? 0 : outputValues();
    }

    @Override
    public long outputValues() {
      return grid.rows() * parameters.outChannels();
    }

    @Override
    public List<Buffer> parameterBuffers() {
      List<Buffer> buffers = new ArrayList<>(List.of(parameters.weight1(), parameters.weight2()));
      Stream.of(parameters.norm1(), parameters.norm2())
          .forEach(norm -> {
            if (norm instanceof ChannelNorm.Batch batch) {
              buffers.addAll(List.of(batch.gamma(), batch.beta()));
              buffers.addAll(List.of(batch.mean(), batch.variance()));
            }
          });
      addPresent(buffers, parameters.shortcut());
      if (parameters.tail() != null) {
        buffers.addAll(List.of(parameters.tail().weight(), parameters.tail().bias()));
      }
      return buffers;
    }

    @Override
    public long multiplyAdds() {
      long in = parameters.inChannels();
      long out = parameters.outChannels();
      long convolutions = 27 * (in + out);
      long shortcut = parameters.shortcut() == null ? 0 : in;
      long tail = parameters.tail() == null ? 0 : out;
      return outputValues() * (convolutions + shortcut + tail);
    }

    @Override
    public void evaluate(Boxes boxes, Buffer x, @Nullable Buffer skip, Buffer y) {
      boxes.residualBlock(x, parameters, skip, y, grid);
    }

    @Override
    public void train(TrainingBoxes boxes, BoxCall gradients, Tensors tensors) {
      Dropout dropout = parameters.tail() == null ? Dropout.NONE : dropout(2);
      boxes
          .residualBlock(tensors.x(), parameters, tensors.skip(), dropout, tensors.y(), grid)
          .apply(tensors.dy(), ((Residual) gradients).parameters, tensors.dx());
    }
  }

  /** A transposed convolution with its skip. */
  record Upsample(UpsampleParameters parameters, Grid grid) implements BoxCall {
    @Override
    public String name() {
      return parameters.name();
    }

    @Override
    public String shape() {
      return "upsample %s %d to %d by %s"
          .formatted(grid, parameters.inChannels(), parameters.outChannels(), parameters.stride());
    }

    @Override
    public long inputValues() {
      return grid.rows() * parameters.inChannels();
    }

    @Override
    public long skipValues() {
      return outputValues();
    }

    @Override
    public long outputValues() {
      return grid.times(parameters.stride()).rows() * parameters.outChannels();
    }

    @Override
    public List<Buffer> parameterBuffers() {
      return List.of(parameters.weight());
    }

    @Override
    public long multiplyAdds() {
      return outputValues() * parameters.inChannels();
    }

    @Override
    public void evaluate(Boxes boxes, Buffer x, @Nullable Buffer skip, Buffer y) {
      boxes.upsample(x, parameters, required(skip), y, grid);
    }

    @Override
    public void train(TrainingBoxes boxes, BoxCall gradients, Tensors tensors) {
      boxes
          .upsample(tensors.x(), parameters, required(tensors.skip()), tensors.y(), grid)
          .apply(tensors.dy(), ((Upsample) gradients).parameters, tensors.dx());
    }

    private static Buffer required(@Nullable Buffer skip) {
      if (skip == null) {
        throw new IllegalArgumentException("skip is missing, an upsampling adds to one");
      }
      return skip;
    }
  }

  /** Logits. */
  record Head(HeadParameters parameters, Grid grid) implements BoxCall {
    @Override
    public String name() {
      return parameters.name();
    }

    @Override
    public String shape() {
      return "head %s %d to %d".formatted(grid, parameters.inChannels(), parameters.classes());
    }

    @Override
    public long inputValues() {
      return grid.rows() * parameters.inChannels();
    }

    @Override
    public long skipValues() {
      return 0;
    }

    @Override
    public long outputValues() {
      return grid.rows() * parameters.classes();
    }

    @Override
    public List<Buffer> parameterBuffers() {
      return List.of(parameters.weight(), parameters.bias());
    }

    @Override
    public long multiplyAdds() {
      return inputValues() * parameters.classes();
    }

    @Override
    public void evaluate(Boxes boxes, Buffer x, @Nullable Buffer skip, Buffer y) {
      boxes.head(x, parameters, HeadOutput.LOGITS, y, grid);
    }

    @Override
    public void train(TrainingBoxes boxes, BoxCall gradients, Tensors tensors) {
      boxes
          .head(tensors.x(), parameters, tensors.y(), grid)
          .apply(tensors.dy(), ((Head) gradients).parameters, tensors.dx());
    }
  }

  private static void addPresent(List<Buffer> buffers, @Nullable Buffer buffer) {
    if (buffer != null) {
      buffers.add(buffer);
    }
  }
}
