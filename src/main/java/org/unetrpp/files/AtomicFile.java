package org.unetrpp.files;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.UUID;

/**
 * Writes files in one piece: what fails half-way leaves the target as it was and nothing beside it.
 */
public final class AtomicFile {
  private static final int BUFFER_BYTES = 1 << 20;

  private AtomicFile() {}

  /** Produces the bytes of a file. */
  @FunctionalInterface
  public interface Content {
    /** Writes all of the file to {@code out}, which the caller closes. */
    void writeTo(OutputStream out) throws IOException;
  }

  /**
   * Writes {@code target} through a temporary file in the same folder, flushed to the disk before
   * it takes the name.
   *
   * @throws IOException if the folder cannot be written to, the disk is full, or {@code content}
   *     throws; the message names the target
   */
  public static void write(Path target, Content content) throws IOException {
    Path absolute = target.toAbsolutePath();
    Path folder = absolute.getParent();
    Path name = absolute.getFileName();
    if (folder == null || name == null || Files.isDirectory(absolute)) {
      throw new IOException(target + ": not the name of a file");
    }
    Path temporary = folder.resolve("." + name + "." + UUID.randomUUID() + ".part");
    try {
      try (FileChannel channel =
          FileChannel.open(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
        OutputStream out =
            new BufferedOutputStream(Channels.newOutputStream(channel), BUFFER_BYTES);
        content.writeTo(out);
        out.flush();
        channel.force(true);
      }
      Files.move(
          temporary, absolute, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw new IOException(target + ": cannot be written: " + reason(e), e);
    } finally {
      if (Files.exists(temporary)) { // deleting what cannot be there would hide what went wrong
        Files.delete(temporary);
      }
    }
  }

  private static String reason(IOException exception) {
    return switch (exception) {
      case NoSuchFileException _ -> "the folder does not exist";
      case NotDirectoryException _ -> "its parent is not a folder";
      case AccessDeniedException _ -> "permission denied";
      case FileSystemException e when e.getReason() != null -> e.getReason();
      default -> String.valueOf(exception.getMessage());
    };
  }
}
