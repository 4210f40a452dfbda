package org.unetrpp.convert;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.unetrpp.dataset.Fingerprint;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.planning.Fold;
import org.unetrpp.planning.ImportedPlan;
import org.unetrpp.planning.PlanImport;

/** Reads the files of the published planner, which are pickles of plain data. */
public final class PublishedPlans implements PlanImport {
  private static final String PROPERTIES = "file of dataset properties";
  private static final String SPLITS = "file of splits";

  @Override
  public ImportedPlan plan(Path plans, @Nullable Path properties) throws IOException {
    PyValue.Dict fingerprint = properties == null ? null : dict(properties, PROPERTIES);
    return new TrainingPlanReader(plans).readImported(Unpickler.file(plans), fingerprint);
  }

  @Override
  public Fingerprint properties(Path path) throws IOException {
    return new FingerprintReader(new PickledValues(path, PROPERTIES)).read(dict(path, PROPERTIES));
  }

  private static PyValue.Dict dict(Path path, String wanted) throws IOException {
    return new PickledValues(path, wanted).dict(Unpickler.file(path), "the file");
  }

  @Override
  public List<Fold> splits(Path path) throws IOException {
    PickledValues values = new PickledValues(path, SPLITS);
    boolean json = path.toString().toLowerCase(Locale.ROOT).endsWith(".json");
    PyValue root = json ? json(path) : Unpickler.file(path);
    List<Fold> folds = new ArrayList<>();
    for (PyValue fold : values.list(root, "the file")) {
      String place = "fold " + folds.size();
      PyValue.Dict lists = values.dict(fold, place);
      try {
        folds.add(new Fold(ids(values, lists, "train"), ids(values, lists, "val")));
      } catch (IllegalArgumentException e) {
        throw new InvalidFileException(path, place + ": " + e.getMessage(), e);
      }
    }
    if (folds.isEmpty()) {
      throw values.missing("fold");
    }
    return folds;
  }

  private static List<String> ids(PickledValues values, PyValue.Dict lists, String key)
      throws InvalidFileException {
    List<String> ids = new ArrayList<>();
    for (PyValue id : values.list(values.require(lists, key), key)) {
      ids.add(values.text(id, key));
    }
    return ids;
  }

  /** Later versions write the same lists as JSON. */
  private static PyValue json(Path path) throws IOException {
    try {
      return value(JsonParser.parseString(Files.readString(path)));
    } catch (JsonParseException | CharacterCodingException e) {
      throw new InvalidFileException(path, "is no JSON: " + e.getMessage(), e);
    }
  }

  private static PyValue value(JsonElement element) {
    return switch (element) {
      case JsonArray array ->
          new PyValue.Tuple(array.asList().stream().map(PublishedPlans::value).toList());
      case JsonObject object -> {
        PyValue.Dict dict = new PyValue.Dict();
        object
            .asMap()
            .forEach((key, member) ->
                dict.values().put(new PyValue.Key(PyValue.Key.Kind.TEXT, key), value(member)));
        yield dict;
      }
      case JsonPrimitive text when text.isString() -> new PyValue.Text(text.getAsString());
      default -> PyValue.None.NONE; // nothing that splits have
    };
  }
}
