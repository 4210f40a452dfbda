package org.unetrpp.convert;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.weights.StoredTensor;
import org.unetrpp.weights.TensorFile;

/** Finds the state of a UNETR++ network among the tensors of a file. */
final class StateDictionary {
  /** A tensor that every UNETR++ has. */
  static final String STEM = "unetr_pp_encoder.downsample_layers.0.0.conv.weight";

  private static final Pattern STEM_NAME =
      Pattern.compile("(?<folder>(.*/)?)(?:module\\.|_orig_mod\\.)*" + Pattern.quote(STEM));
  private static final Pattern WRAPPERS = Pattern.compile("^(?:module\\.|_orig_mod\\.)+");

  /** Where the state is preferred if a file holds several, such as averaged weights beside it. */
  private static final List<String> PREFERRED =
      List.of("", "state_dict/", "network_weights/", "model_state_dict/", "model/");

  private static final int SHOWN_NAMES = 5;

  private StateDictionary() {}

  /**
   * The tensors of the network's state under their own names: without the keys that lead to the
   * state and without what parallel training puts before names.
   *
   * @throws InvalidFileException if the file holds no state of a UNETR++, or several
   */
  static SequencedMap<String, StoredTensor> find(TensorFile file) throws InvalidFileException {
    String folder = folder(file);
    SequencedMap<String, StoredTensor> state = new LinkedHashMap<>();
    for (StoredTensor tensor : file.tensors().values()) {
      String name = tensor.name();
      if (name.startsWith(folder) && name.indexOf('/', folder.length()) < 0) {
        String own = WRAPPERS.matcher(name.substring(folder.length())).replaceFirst("");
        if (state.put(own, tensor.renamed(own)) != null) {
          throw new InvalidFileException(file.path(), "has two tensors for " + own);
        }
      }
    }
    return state;
  }

  private static String folder(TensorFile file) throws InvalidFileException {
    List<String> folders =
        file.tensors().keySet().stream()
            .map(STEM_NAME::matcher)
            .filter(Matcher::matches)
            .map(matcher -> matcher.group("folder"))
            .distinct()
            .toList();
    if (folders.isEmpty()) {
      throw new InvalidFileException(
          file.path(),
          "no UNETR++ checkpoint: none of its %d tensors is %s; it has %s"
              .formatted(
                  file.tensors().size(),
                  STEM,
                  file.tensors().keySet().stream().limit(SHOWN_NAMES).toList()));
    }
    if (folders.size() == 1) {
      return folders.getFirst();
    }
    return PREFERRED.stream()
        .filter(folders::contains)
        .findFirst()
        .orElseThrow(() ->
            new InvalidFileException(
                file.path(), "holds several networks, under the keys " + folders));
  }
}
