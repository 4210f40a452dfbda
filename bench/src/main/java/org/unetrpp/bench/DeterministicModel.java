package org.unetrpp.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.inference.ModelDescription;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.inference.Provenance;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.StateEntry;
import org.unetrpp.model.StateLayout;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.pipeline.PreprocessingPlan;
import org.unetrpp.weights.StoredTensor;
import org.unetrpp.weights.StoredType;

/** Model files with weights made from their names: as large and as slow as trained ones. */
final class DeterministicModel {
  private DeterministicModel() {}

  static void write(Path target, Architecture architecture, PreprocessingPlan preprocessing)
      throws IOException {
    ModelDescription description =
        new ModelDescription(
            architecture,
            LabelClass.of(
                IntStream.range(1, architecture.classes()).mapToObj(k -> "class " + k).toList()),
            preprocessing,
            new Provenance("benchmark", List.of(), "deterministic weights"));
    List<StoredTensor> tensors =
        StateLayout.of(architecture).stream()
            .filter(entry -> entry.aliasOf() == null && entry.role() != StateEntry.Role.COUNTER)
            .map(DeterministicModel::tensor)
            .toList();
    ModelFile.write(target, description, tensors, StoredType.FLOAT32);
  }

  private static StoredTensor tensor(StateEntry entry) {
    return StoredTensor.ofFloats(
        entry.name(),
        entry.shape().stream().map(Integer::longValue).toList(),
        DeterministicTensor.ofState(entry.name(), entry.shape()));
  }
}
