package org.unetrpp.inference;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.unetrpp.files.InvalidFileException;

/**
 * Model files that lie on the class path, as in the jar of this project: each a resource {@code
 * org/unetrpp/models/NAME.safetensors}, read into memory without a temporary file.
 */
public final class EmbeddedModels {
  /** The model of those who name none. */
  public static final String DEFAULT = "hippocampus";

  private static final List<String> NAMES = List.of(DEFAULT);
  private static final String FOLDER = "org/unetrpp/models/";
  private static final int MAX_BYTES = 16 << 20;

  private final ClassLoader loader;

  private EmbeddedModels(ClassLoader loader) {
    this.loader = loader;
  }

  /** The models beside this class. */
  public static EmbeddedModels ofThisBuild() {
    return new EmbeddedModels(
        Objects.requireNonNullElseGet(
            EmbeddedModels.class.getClassLoader(), ClassLoader::getSystemClassLoader));
  }

  /** The models that a class loader finds. */
  public static EmbeddedModels of(ClassLoader loader) {
    return new EmbeddedModels(loader);
  }

  /** The names of the models that are there; none in a build without weights. */
  public List<String> names() {
    return NAMES.stream().filter(name -> loader.getResource(resource(name)) != null).toList();
  }

  /** Whether there is a model of a name. */
  public boolean contains(String name) {
    return names().contains(name);
  }

  /**
   * Opens a model, with all the checks of {@link ModelFile#open(Path)}.
   *
   * @throws IllegalArgumentException if there is no model of the name
   * @throws InvalidFileException if the resource is damaged, no model file, or above 16 MiB
   */
  @MustBeClosed
  public ModelFile open(String name) throws IOException {
    if (!contains(name)) {
      throw new IllegalArgumentException(
          "embedded model '%s', expected one of %s".formatted(name, names()));
    }
    Path shown = Path.of(resource(name));
    try (InputStream in = Objects.requireNonNull(loader.getResourceAsStream(resource(name)))) {
      byte[] content = in.readNBytes(MAX_BYTES + 1);
      if (content.length > MAX_BYTES) {
        throw new InvalidFileException(
            shown, "has more than %d bytes, the most of an embedded model".formatted(MAX_BYTES));
      }
      return ModelFile.open(shown, content);
    }
  }

  private static String resource(String name) {
    return FOLDER + name + ".safetensors";
  }
}
