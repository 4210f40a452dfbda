package org.unetrpp.cli;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.image.ImageSummary;
import org.unetrpp.image.Nifti;
import org.unetrpp.inference.EmbeddedModels;
import org.unetrpp.inference.ModelDescription;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.NetworkCost;
import org.unetrpp.model.NetworkCost.Mode;
import org.unetrpp.model.NetworkCost.Rounding;
import org.unetrpp.weights.StoredTensor;
import org.unetrpp.weights.TensorFile;
import org.unetrpp.weights.TensorFiles;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Says what a file holds, or what a published network is. */
@Command(
    name = "info",
    description = "Says what a model file, checkpoint or volume holds, or a published network is.",
    mixinStandardHelpOptions = true)
final class InfoCommand extends Subcommand {
  private static final Gson GSON =
      new GsonBuilder().setPrettyPrinting().serializeSpecialFloatingPointValues().create();

  @Parameters(
      paramLabel = "WHAT",
      description =
          "A file, a built-in model (hippocampus), or synapse, btcv, acdc, lung or tumor.")
  private String what = "";

  @Option(names = "--json", description = "For programs.")
  private boolean json;

  private final EmbeddedModels models;

  InfoCommand(EmbeddedModels models) {
    this.models = models;
  }

  @Override
  public Integer call() throws IOException {
    JsonObject info = describe();
    System.out.print(json ? GSON.toJson(info) + System.lineSeparator() : InfoText.of(info));
    return ExitCode.OK;
  }

  private JsonObject describe() throws IOException {
    Path path = Path.of(what);
    Optional<Architecture> published = Architecture.published(what);
    if (!Files.exists(path)) {
      if (models.contains(what)) {
        try (ModelFile model = models.open(what)) {
          return model(model);
        }
      }
      return network(published.orElseThrow(() -> new NoSuchFileException(what)));
    }
    if (Files.isDirectory(path)) {
      throw new InvalidFileException(path, "a folder, expected a file");
    }
    if (hasImageName(path)) {
      return volume(path);
    }
    if (TensorFiles.isKnown(path)) {
      return tensors(path);
    }
    try {
      return volume(path);
    } catch (InvalidFileException e) {
      throw new InvalidFileException(
          path, "neither a model file, nor a checkpoint, nor a NIfTI volume", e);
    }
  }

  private static boolean hasImageName(Path path) {
    String name = String.valueOf(path.getFileName()).toLowerCase(Locale.ROOT);
    return name.matches(".*\\.(nii|hdr|img)(\\.gz)?");
  }

  private static JsonObject volume(Path path) throws IOException {
    ImageSummary summary = Nifti.open(path).summary();
    JsonObject info = new JsonObject();
    info.add("shape", GSON.toJsonTree(summary.shape()));
    info.addProperty("dtype", summary.voxelType());
    info.add("spacing", GSON.toJsonTree(summary.axisSpacing()));
    info.add("affine", GSON.toJsonTree(summary.affine().toArray()));
    info.addProperty("axes", summary.axisCodes());
    info.addProperty("slope", summary.slope());
    info.addProperty("intercept", summary.intercept());
    JsonElement statistics = GSON.toJsonTree(summary.statistics());
    statistics.getAsJsonObject().entrySet().forEach(e -> info.add(e.getKey(), e.getValue()));
    return info;
  }

  private static JsonObject tensors(Path path) throws IOException {
    try (TensorFile file = TensorFiles.open(path)) {
      if (!ModelFile.isModel(file)) {
        JsonObject info = new JsonObject();
        info.addProperty("format", file.format());
        info.add("tensors", list(file.tensors().values()));
        return info;
      }
    }
    try (ModelFile model = ModelFile.open(path)) {
      return model(model);
    }
  }

  private static JsonObject model(ModelFile model) {
    ModelDescription description = model.description();
    JsonObject info = new JsonObject();
    info.addProperty("format", model.format());
    addAll(info, network(description.architecture()));
    info.add("labels", GSON.toJsonTree(description.labels()));
    info.add("preprocessing", GSON.toJsonTree(description.preprocessing()));
    info.add("provenance", GSON.toJsonTree(description.provenance()));
    info.add("tensors", list(model.tensors().values()));
    return info;
  }

  private static JsonObject list(Collection<StoredTensor> tensors) {
    JsonObject list = new JsonObject();
    for (StoredTensor tensor : tensors) {
      JsonObject entry = new JsonObject();
      entry.addProperty("dtype", tensor.type().text());
      entry.add("shape", GSON.toJsonTree(tensor.shape()));
      entry.addProperty("sha256", tensor.sha256());
      list.add(tensor.name(), entry);
    }
    return list;
  }

  private static void addAll(JsonObject target, JsonObject source) {
    source.entrySet().forEach(entry -> target.add(entry.getKey(), entry.getValue()));
  }

  private static JsonObject network(Architecture architecture) {
    JsonObject info = new JsonObject();
    info.add("architecture", GSON.toJsonTree(architecture));
    info.add("parameters", parts(NetworkCost.parametersByPart(architecture)));
    Map<String, Long> cost =
        NetworkCost.multiplyAddsByPart(architecture, Rounding.AS_PUBLISHED, Mode.EVALUATION);
    Map<String, Long> exact =
        NetworkCost.multiplyAddsByPart(architecture, Rounding.EXACT, Mode.EVALUATION);
    info.add("multiply_adds", parts(cost));
    if (!cost.equals(exact)) {
      info.add("multiply_adds_without_rounding", parts(exact));
    }
    return info;
  }

  private static JsonObject parts(Map<String, Long> byPart) {
    JsonObject object = new JsonObject();
    object.addProperty("total", byPart.values().stream().mapToLong(Long::longValue).sum());
    object.add("parts", GSON.toJsonTree(byPart));
    return object;
  }
}
