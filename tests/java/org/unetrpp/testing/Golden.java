package org.unetrpp.testing;

import com.google.gson.Gson;
import com.google.gson.annotations.SerializedName;
import com.google.gson.reflect.TypeToken;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;
import org.unetrpp.grid.Extents;
import org.unetrpp.model.Architecture;

/** One file of {@code resources/golden}: what the published implementation computes. */
public record Golden(
    String variant,
    String size,
    int[] image,
    int classes,
    List<Recorded> outputs,
    Map<String, Recorded> modules,
    @Nullable Training train) {
  /** Samples of one tensor; the error fields are there for the outputs. */
  public record Recorded(
      int[] shape,
      double absmax,
      int[] index,
      double[] value,
      @SerializedName("torch_float32_max_abs_error") double torchError) {}

  /** Training steps; the tiny networks have them. */
  public record Training(
      int batch,
      @SerializedName("lr") double learningRate,
      double momentum,
      @SerializedName("weight_decay") double decay,
      @SerializedName("clip_grad_norm") double longest,
      @SerializedName("batch_dice") boolean batchDice,
      List<Step> steps,
      Map<String, Recorded> after) {}

  /** One training step; the first has every parameter's gradient. */
  public record Step(
      double loss,
      @SerializedName("head_losses") List<Double> heads,
      @SerializedName("grad_norm") double norm,
      @SerializedName("grads") @Nullable Map<String, Recorded> gradients) {}

  /** Reads {@code resources/golden/NAME.json.gz}. */
  public static Golden read(String name) {
    return parse(name, TypeToken.get(Golden.class));
  }

  /**
   * PyTorch's own float32 error of each module, relative to the largest absolute value of its
   * output: {@code resources/golden/NAME-float32.json.gz}.
   */
  public static Map<String, Double> torchErrors(String name) {
    return parse(name + "-float32", new TypeToken<>() {});
  }

  /**
   * PyTorch's own float32 errors in training, relative to the largest absolute value of each
   * tensor.
   *
   * @param gradients of the first step, by parameter
   * @param state after all steps, by tensor
   */
  public record TrainingErrors(Map<String, Double> gradients, Map<String, Double> state) {}

  /** Reads {@code resources/golden/NAME-training-float32.json.gz}. */
  public static TrainingErrors torchTrainingErrors(String name) {
    return parse(name + "-training-float32", TypeToken.get(TrainingErrors.class));
  }

  private static <T> T parse(String name, TypeToken<T> type) {
    try (InputStream in = Golden.class.getResourceAsStream("/golden/" + name + ".json.gz");
        Reader reader = new InputStreamReader(new GZIPInputStream(in), StandardCharsets.UTF_8)) {
      return new Gson().fromJson(reader, type);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The network that the file is about. */
  public Architecture architecture() {
    Architecture published =
        Architecture.published(variant).orElseThrow().withPatch(Extents.of(image));
    return size.equals("full") ? published : tiny(published);
  }

  private static Architecture tiny(Architecture of) {
    return new Architecture(
        of.inputChannels(),
        of.classes(),
        of.patch(),
        of.stem(),
        of.downsampling(),
        List.of(8, 16, 32, 64),
        List.of(1, 2, 1, 1),
        1,
        of.projections(),
        of.decoderProjection(),
        4,
        of.heads(),
        of.tokenProjection(),
        of.fusion(),
        of.residualConvolutions(),
        of.attentionDropout(),
        of.channelDropout());
  }
}
