import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.unetrpp.image.Nifti;
import org.unetrpp.image.NiftiHeader;
import org.unetrpp.image.Volume;
import org.unetrpp.image.VoxelType;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.recipe.PublishedRecipe;

/**
 * Dresses up volumes of any data set as the data set of a recipe: in its published layout, under
 * the names of its published cases, with its channels (the volume in each) and its labels (those
 * beyond its own become its last). For trying a recipe, not for training anything. Run from the
 * source:
 *
 * <pre>java -cp CLASSPATH bench/recipes/MakeData.java RECIPE VOLUMES TARGET [TRAINING VALIDATION]
 * </pre>
 *
 * VOLUMES holds imagesTr and labelsTr with files of the same names.
 */
public final class MakeData {
  private static final List<String> OWN_IDS = List.of("case_1", "case_2", "case_3", "case_4");

  private MakeData() {}

  /** Takes recipe, source, target and, if given, how many cases of each published list. */
  public static void main(String[] arguments) throws Exception {
    PublishedRecipe recipe = PublishedRecipe.named(arguments[0]).orElseThrow();
    Path volumes = Path.of(arguments[1]);
    int training = arguments.length > 3 ? Integer.parseInt(arguments[3]) : 3;
    int validation = arguments.length > 4 ? Integer.parseInt(arguments[4]) : 1;
    Path folder =
        Path.of(arguments[2])
            .resolve(recipe.folders().base())
            .resolve("unetr_pp_raw/unetr_pp_raw_data")
            .resolve(recipe.folders().names().getFirst());
    List<String> ids = ids(recipe, training, validation);
    List<Path> images;
    try (Stream<Path> files = Files.list(volumes.resolve("imagesTr"))) {
      images = files.filter(file -> file.toString().endsWith(".nii.gz")).sorted().toList();
    }
    Files.createDirectories(folder.resolve("imagesTr"));
    Files.createDirectories(folder.resolve("labelsTr"));
    for (int i = 0; i < ids.size(); i++) {
      Path image = images.get(i % images.size());
      write(
          recipe,
          folder,
          ids.get(i),
          image,
          volumes.resolve("labelsTr").resolve(image.getFileName()));
    }
    Files.writeString(folder.resolve("dataset.json"), description(recipe, ids));
    System.out.println(folder);
  }

  private static List<String> ids(PublishedRecipe recipe, int training, int validation) {
    if (recipe.split().isEmpty()) {
      return OWN_IDS;
    }
    List<String> ids = new ArrayList<>(recipe.split().training().subList(0, training));
    ids.addAll(recipe.split().validation().subList(0, validation));
    return ids;
  }

  private static void write(PublishedRecipe recipe, Path folder, String id, Path image, Path label)
      throws IOException {
    for (int channel = 0; channel < recipe.channels().size(); channel++) {
      Files.copy(image, folder.resolve("imagesTr/%s_%04d.nii.gz".formatted(id, channel)));
    }
    Volume labels = Nifti.open(label).volumes().getFirst();
    float[] values = labels.voxels().clone();
    float largest = recipe.labels().getLast().value();
    for (int voxel = 0; voxel < values.length; voxel++) {
      values[voxel] = Math.min(values[voxel], largest);
    }
    NiftiHeader header = NiftiHeader.of(labels.geometry());
    Nifti.writeVolumes(
        folder.resolve("labelsTr/" + id + ".nii.gz"),
        List.of(new Volume(labels.geometry(), values)),
        header,
        VoxelType.UINT8);
  }

  private static String description(PublishedRecipe recipe, List<String> ids) {
    String channels =
        IntStream.range(0, recipe.channels().size())
            .mapToObj(i -> "\"%d\": \"%s\"".formatted(i, recipe.channels().get(i).name()))
            .collect(Collectors.joining(", "));
    String labels =
        recipe.labels().stream()
            .map((LabelClass label) -> "\"%d\": \"%s\"".formatted(label.value(), label.name()))
            .collect(Collectors.joining(", "));
    String cases =
        ids.stream()
            .map(id ->
                "{\"image\": \"./imagesTr/%1$s.nii.gz\", \"label\": \"./labelsTr/%1$s.nii.gz\"}"
                    .formatted(id))
            .collect(Collectors.joining(",\n    "));
    return """
    {
      "name": "%s",
      "modality": {%s},
      "labels": {%s},
      "numTraining": %d,
      "training": [
        %s
      ]
    }
    """
        .formatted(recipe.name(), channels, labels, ids.size(), cases);
  }
}
