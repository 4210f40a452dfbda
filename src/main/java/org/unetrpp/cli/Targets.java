package org.unetrpp.cli;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Where results of {@code segment} go. */
final class Targets {
  private static final String ENDING = "\\.(nii|hdr|img)(\\.gz)?$";

  private final @Nullable Path output;
  private final boolean isFile;

  private Targets(@Nullable Path output, boolean isFile) {
    this.output = output;
    this.isFile = isFile;
  }

  /**
   * Checks, before anything is computed, that each case has a place of its own that can be written
   * to, and makes the folder for it.
   *
   * @param output a file for one case, a folder for several, or null for beside the image
   * @throws CommandFailedException if results would replace an image or each other
   */
  static Targets prepare(@Nullable Path output, List<CaseFiles> cases) throws IOException {
    boolean isFile = output != null && CaseFiles.isImageName(output) && !Files.isDirectory(output);
    if (isFile && cases.size() > 1) {
      throw new CommandFailedException(
          "%s: a file, expected a folder for %d cases".formatted(output, cases.size()));
    }
    Targets targets = new Targets(output, isFile);
    Map<Path, CaseFiles> taken = new HashMap<>();
    for (CaseFiles files : cases) {
      targets.requireOwn(files, taken);
      Path folder = absolute(targets.labels(files)).getParent();
      if (folder != null) {
        Files.createDirectories(folder);
        if (!Files.isWritable(folder)) {
          throw new AccessDeniedException(folder.toString());
        }
      }
    }
    return targets;
  }

  /** The file for the labels of a case. */
  Path labels(CaseFiles files) {
    if (output == null) {
      return files.folder().resolve(files.name() + "_seg.nii.gz");
    }
    return isFile ? output : output.resolve(files.name() + "_seg.nii.gz");
  }

  /** The file for the probabilities of a case. */
  Path probabilities(CaseFiles files) {
    return labels(files).resolveSibling(stem(files).replaceFirst("_seg$", "") + "_prob.nii.gz");
  }

  /** The file for the preview of a case. */
  Path preview(CaseFiles files) {
    return labels(files).resolveSibling(stem(files) + ".png");
  }

  /** The name of the file for the labels, without its ending. */
  private String stem(CaseFiles files) {
    return String.valueOf(labels(files).getFileName()).replaceFirst(ENDING, "");
  }

  /**
   * Throws CommandFailedException if a file of all cases would replace an image or a result of one.
   */
  void requireOwn(Path target, List<CaseFiles> cases) {
    for (CaseFiles files : cases) {
      List<Path> taken =
          Stream.concat(files.files().stream(), of(files).stream()).map(Targets::absolute).toList();
      if (taken.contains(absolute(target))) {
        throw new CommandFailedException(
            "%s: would replace an image or a result of %s".formatted(target, files.name()));
      }
    }
  }

  /** Every file that may be written for a case. */
  private List<Path> of(CaseFiles files) {
    return List.of(labels(files), probabilities(files), preview(files));
  }

  private void requireOwn(CaseFiles files, Map<Path, CaseFiles> taken) {
    for (Path target : of(files)) {
      for (Path input : files.files()) {
        if (absolute(input).equals(absolute(target))) {
          throw new CommandFailedException(input + ": the output would replace the image");
        }
      }
      CaseFiles other = taken.putIfAbsent(absolute(target), files);
      if (other != null) {
        throw new CommandFailedException(
            "%s and %s would both be written to %s"
                .formatted(other.files().getFirst(), files.files().getFirst(), target));
      }
    }
  }

  private static Path absolute(Path path) {
    return path.toAbsolutePath().normalize();
  }
}
