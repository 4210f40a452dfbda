package org.unetrpp.testing;

import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Path;

/** The files of {@code tests/resources}. */
public final class TestResources {
  private TestResources() {}

  /** The path of a file or folder. */
  public static Path path(String name) {
    URL url = TestResources.class.getClassLoader().getResource(name);
    if (url == null) {
      throw new IllegalArgumentException("no test resource " + name);
    }
    try {
      return Path.of(url.toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException("a resource's URL is no URI: " + url, e);
    }
  }
}
