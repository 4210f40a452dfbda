package org.unetrpp.testing;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;

/** A folder, or jar, that holds models as the jar of this project does. */
public final class ModelFolder {
  private ModelFolder() {}

  /** Where the model of a name lies below a folder of resources, which is made. */
  public static Path model(Path resources, String name) throws IOException {
    Path folder = Files.createDirectories(resources.resolve("org/unetrpp/models"));
    return folder.resolve(name + ".safetensors");
  }

  /** Finds what is in the folder or jar, and nothing else; for the caller to close. */
  public static URLClassLoader loader(Path resources) throws IOException {
    return new URLClassLoader(new URL[] {resources.toUri().toURL()}, null);
  }
}
