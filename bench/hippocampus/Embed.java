import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.unetrpp.inference.ModelDescription;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.inference.Provenance;
import org.unetrpp.model.NetworkState;
import org.unetrpp.weights.StoredTensor;
import org.unetrpp.weights.StoredType;

/**
 * Makes the built-in hippocampus model of a trained one: weights in bfloat16 without the heads that
 * only training needs, with the terms of the training data. Run from the source:
 *
 * <pre>java -cp CLASSPATH bench/hippocampus/Embed.java model.safetensors
 *     src/main/resources/org/unetrpp/models/hippocampus.safetensors</pre>
 */
public final class Embed {
  private static final Provenance.Attribution TERMS =
      new Provenance.Attribution(
          "CC-BY-SA 4.0, https://creativecommons.org/licenses/by-sa/4.0/",
          "Medical Segmentation Decathlon, Task04_Hippocampus (Vanderbilt University Medical Center)",
          "Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 13 (2022) 4128;"
              + " Simpson et al., arXiv:1902.09063");

  private Embed() {}

  /** Takes the trained model's path and the target's. */
  public static void main(String[] arguments) throws Exception {
    try (ModelFile trained = ModelFile.open(Path.of(arguments[0]))) {
      ModelDescription from = trained.description();
      Provenance provenance = from.provenance();
      List<StoredTensor> tensors = new ArrayList<>();
      for (StoredTensor tensor : trained.tensors().values()) {
        if (!NetworkState.isSupervisionHead(tensor.name())) {
          tensors.add(tensor);
        }
      }
      ModelDescription description =
          new ModelDescription(
              from.architecture(),
              from.labels(),
              from.preprocessing(),
              new Provenance(
                  provenance.producer(),
                  provenance.sources(),
                  "expects T1 MRI cropped around one hippocampus, at about 1 mm; "
                      + provenance.note(),
                  TERMS));
      ModelFile.write(Path.of(arguments[1]), description, tensors, StoredType.BFLOAT16);
    }
  }
}
