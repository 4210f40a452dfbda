package org.unetrpp.weights;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HexFormat;
import java.util.Optional;
import java.util.ServiceLoader;
import org.unetrpp.files.InvalidFileException;

/** Opens files of named tensors in whichever of the known formats they are. */
public final class TensorFiles {
  private static final int SHOWN_BYTES = 16;

  private TensorFiles() {}

  /**
   * Opens a file with the format that recognizes it.
   *
   * @throws InvalidFileException if no format recognizes the file, or it is damaged
   */
  @MustBeClosed
  public static TensorFile open(Path path) throws IOException {
    Optional<TensorFormat> known = formatOf(path);
    if (known.isPresent()) {
      return known.get().open(path);
    }
    byte[] start = firstBytes(path, SHOWN_BYTES);
    throw new InvalidFileException(
        path,
        start.length == 0
            ? "not a model file or checkpoint: the file is empty"
            : "not a model file or checkpoint: first bytes "
                + HexFormat.ofDelimiter(" ").formatHex(start));
  }

  /** Whether a format recognizes the file; it may be damaged all the same. */
  public static boolean isKnown(Path path) throws IOException {
    return formatOf(path).isPresent();
  }

  private static Optional<TensorFormat> formatOf(Path path) throws IOException {
    ClassLoader loader = TensorFiles.class.getClassLoader();
    for (TensorFormat format : ServiceLoader.load(TensorFormat.class, loader)) {
      if (format.recognizes(path)) {
        return Optional.of(format);
      }
    }
    return Optional.empty();
  }

  /**
   * The first bytes of a file, fewer than {@code count} if it is shorter.
   *
   * @throws InvalidFileException if the path is a folder
   */
  public static byte[] firstBytes(Path path, int count) throws IOException {
    requireNoFolder(path);
    try (InputStream in = Files.newInputStream(path)) {
      return in.readNBytes(count);
    }
  }

  /**
   * Maps all of a file for reading.
   *
   * @throws InvalidFileException if the path is a folder
   */
  public static MemorySegment map(Path path, Arena arena) throws IOException {
    requireNoFolder(path);
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
    }
  }

  private static void requireNoFolder(Path path) throws InvalidFileException {
    if (Files.isDirectory(path)) {
      throw new InvalidFileException(path, "a folder, expected a file");
    }
  }
}
