package org.unetrpp.backend.cuda.driver;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/**
 * A kernel file with all that it includes.
 *
 * @param name of the file without its ending
 * @param text of the file
 * @param headers text of the files that it or its headers include, by name
 */
record KernelSource(String name, String text, SortedMap<String, String> headers) {
  private static final Pattern INCLUDE =
      Pattern.compile("^[ \\t]*#[ \\t]*include[ \\t]*\"([^\"]+)\"", Pattern.MULTILINE);

  /**
   * Reads a kernel file; none if it is not there.
   *
   * @throws CudaException if it includes a file that is not there
   */
  static Optional<KernelSource> read(KernelImages.Files files, String name) {
    String file = name + ".cu";
    return files
        .read(file)
        .map(bytes -> {
          String text = new String(bytes, UTF_8);
          SortedMap<String, String> headers = new TreeMap<>();
          collect(files, file, text, headers);
          return new KernelSource(name, text, headers);
        });
  }

  private static void collect(
      KernelImages.Files files, String includer, String text, Map<String, String> headers) {
    for (MatchResult include : INCLUDE.matcher(text).results().toList()) {
      String header = include.group(1);
      if (!headers.containsKey(header)) {
        byte[] bytes =
            files
                .read(header)
                .orElseThrow(() ->
                    new CudaException(
                        "kernels/%s includes '%s', which is not on the class path"
                            .formatted(includer, header)));
        String included = new String(bytes, UTF_8);
        headers.put(header, included);
        collect(files, header, included, headers);
      }
    }
  }
}
