package org.unetrpp.backend.cuda.natives;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Initializes JCuda's classes of calls. Such a class loads its native part from the folder for
 * temporary files, under a name that anyone can know, and takes what lies there. So it is shown a
 * fresh folder that only this user can open, with the native part in it as this machine needs it:
 * under the name that is asked for, and bound to the library's version that this machine has.
 */
final class Bindings {
  private static final String TEMPORARY = "java.io.tmpdir";

  private Bindings() {}

  /**
   * Initializes the class of calls of a library that is loaded already.
   *
   * @param major version of the library
   * @throws LinkageError if the native part cannot be loaded
   */
  static void initialize(CudaLibrary library, int major) throws IOException {
    byte[] image = image(library);
    if (major != library.boundMajor()) {
      image =
          new ElfLibrary(image)
              .retargeted(library.soname(library.boundMajor()), library.soname(major));
    }
    whileInstalled(
        Optional.empty(),
        library.bindingFile(),
        image,
        () -> initializeClass(library.bindingClass()));
  }

  private static byte[] image(CudaLibrary library) throws IOException {
    try (InputStream in =
        Bindings.class.getClassLoader().getResourceAsStream(library.bindingResource())) {
      if (in == null) {
        throw new IOException(
            library.bindingArtifact() + ", the native part of JCuda, is not on the class path");
      }
      return in.readAllBytes();
    }
  }

  private static void initializeClass(String name) {
    try {
      Class.forName(name, true, Bindings.class.getClassLoader());
    } catch (ClassNotFoundException e) {
      throw new NoClassDefFoundError(name);
    }
  }

  /**
   * Does something while the folder for temporary files is a private one with one file in it.
   *
   * @param parent of that folder, or none for the system's folder for temporary files
   */
  static synchronized void whileInstalled(
      Optional<Path> parent, String name, byte[] image, Runnable action) throws IOException {
    letOthersRememberTemporaryFolder();
    Path folder = PrivateFolder.temporary(parent);
    String temporary = System.getProperty(TEMPORARY);
    try {
      Files.write(folder.resolve(name), image);
      System.setProperty(TEMPORARY, folder.toString());
      try {
        action.run();
      } finally {
        System.setProperty(TEMPORARY, temporary);
      }
    } finally {
      PrivateFolder.delete(folder); // a library stays loaded without its file
    }
  }

  /**
   * The JDK's two makers of temporary files read the property on first use and never again; that
   * must not be while it is changed. {@link PrivateFolder#temporary} uses the other one.
   */
  private static void letOthersRememberTemporaryFolder() throws IOException {
    Files.deleteIfExists(File.createTempFile("unetrpp-", null).toPath());
    Files.deleteIfExists(Files.createTempFile("unetrpp-", null));
  }
}
