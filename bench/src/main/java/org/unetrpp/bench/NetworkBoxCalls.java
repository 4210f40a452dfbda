package org.unetrpp.bench;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.Boxes;
import org.unetrpp.backend.FullResolution;
import org.unetrpp.backend.FullResolutionParameters;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PatchEmbeddingParameters;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.UpsampleParameters;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.ScopeStack;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.UnetrPlusPlus;
import org.unetrpp.nn.Parameters;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;

/** Lists the boxes that a network runs, by running it over boxes that note what they are asked. */
final class NetworkBoxCalls implements Boxes {
  private final List<BoxCall> calls = new ArrayList<>();

  private final ScopeStack scopes;

  private NetworkBoxCalls(ScopeStack scopes) {
    this.scopes = scopes;
  }

  /**
   * The boxes in the order in which the network runs them, all heads included; nothing is computed.
   *
   * @param state parameters, or gradients in the form of parameters
   * @param batch patches
   */
  static List<BoxCall> of(Architecture architecture, Parameters state, int batch) {
    NetworkBoxCalls noting = new NetworkBoxCalls(state.backend().scopes());
    Backend backend = noting.over(state.backend());
    Extents patch = architecture.patch();
    Shape shape =
        Shape.of(batch, architecture.inputChannels(), patch.depth(), patch.height(), patch.width());
    try (var _ = backend.scopes().open()) {
      Tensor image = Tensor.uninitialized(backend, shape);
      List<Tensor> _ = new UnetrPlusPlus(architecture, state).forwardWithDeepSupervision(image);
    }
    return List.copyOf(noting.calls);
  }

  /** A backend with these boxes in place of its own. */
  private Backend over(Backend backend) {
    return (Backend)
        Proxy.newProxyInstance(
            Backend.class.getClassLoader(),
            new Class<?>[] {Backend.class},
            (_, method, arguments) -> {
              if (method.getName().equals("boxes")) {
                return this;
              }
              try {
                return method.invoke(backend, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  @Override
  public void patchEmbedding(Buffer x, PatchEmbeddingParameters parameters, Buffer y, Grid grid) {
    calls.add(new BoxCall.Embedding(parameters, grid));
  }

  @Override
  public void pairedAttention(Buffer x, PairedAttentionParameters parameters, Buffer y, int batch) {
    calls.add(new BoxCall.Attention(parameters, batch));
  }

  /** Notes the two boxes: each is measured alone. */
  @Override
  public void embeddedAttention(
      Buffer x,
      PatchEmbeddingParameters embedding,
      PairedAttentionParameters attention,
      Buffer y,
      Grid grid) {
    patchEmbedding(x, embedding, y, grid);
    pairedAttention(y, attention, y, grid.batch());
  }

  /** Notes the four boxes: each is measured alone. */
  @Override
  public FullResolution fullResolution(Buffer x, FullResolutionParameters p, Grid grid) {
    return (features, output) -> {
      Buffer y = scopes.allocate(x.dtype(), grid.rows() * p.head().classes());
      residualBlock(x, p.encoder(), null, y, grid);
      upsample(features, p.upsampling(), y, y, grid.dividedBy(p.upsampling().stride()));
      residualBlock(y, p.decoder(), null, y, grid);
      head(y, p.head(), output, y, grid);
      return y;
    };
  }

  @Override
  public void residualBlock(
      Buffer x, ResidualBlockParameters parameters, @Nullable Buffer skip, Buffer y, Grid grid) {
    calls.add(new BoxCall.Residual(parameters, grid));
  }

  @Override
  public void upsample(Buffer x, UpsampleParameters parameters, Buffer skip, Buffer y, Grid grid) {
    calls.add(new BoxCall.Upsample(parameters, grid));
  }

  @Override
  public void head(Buffer x, HeadParameters parameters, HeadOutput output, Buffer y, Grid grid) {
    calls.add(new BoxCall.Head(parameters, grid));
  }
}
