package org.unetrpp.cli;

import picocli.CommandLine.IVersionProvider;

/** The version in the jar's manifest, or that of a build from source. */
final class Version implements IVersionProvider {
  @Override
  public String[] getVersion() {
    return new String[] {"unetrpp " + current()};
  }

  static String current() {
    String version = Version.class.getPackage().getImplementationVersion();
    return version == null ? "built from source" : version;
  }
}
