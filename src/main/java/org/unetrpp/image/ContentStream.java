package org.unetrpp.image;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;
import org.unetrpp.files.InvalidFileException;

/**
 * The content of a file from its start, inflated if the file is gzip (told by its first bytes, not
 * by its name). For one thread at a time.
 */
final class ContentStream implements AutoCloseable {
  private static final int GZIP_MAGIC = 0x1f8b;
  private static final int FILE_BUFFER_BYTES = 1 << 16;
  private static final int DRAIN_BYTES = 1 << 16;

  /** No deflated byte becomes more than this many. */
  private static final long LARGEST_RATIO = 1032;

  private final Path path;
  private final long fileBytes;
  private final boolean compressed;
  private final InputStream in;
  private long position;

  private ContentStream(Path path, long fileBytes, boolean compressed, InputStream in) {
    this.path = path;
    this.fileBytes = fileBytes;
    this.compressed = compressed;
    this.in = in;
  }

  /**
   * Opens a file at its start.
   *
   * @throws InvalidFileException if the file is empty or the gzip header is damaged
   */
  @MustBeClosed
  static ContentStream open(Path path) throws IOException {
    InputStream file = new BufferedInputStream(Files.newInputStream(path), FILE_BUFFER_BYTES);
    try {
      long fileBytes = Files.size(path);
      file.mark(2);
      int first = file.read();
      int second = file.read();
      file.reset();
      if (first < 0) {
        throw new InvalidFileException(path, "empty file, expected a NIfTI header");
      }
      boolean compressed = (first << Byte.SIZE | second) == GZIP_MAGIC;
      InputStream content = compressed ? new GZIPInputStream(file, FILE_BUFFER_BYTES) : file;
      return new ContentStream(path, fileBytes, compressed, content);
    } catch (ZipException | EOFException e) {
      file.close();
      throw new InvalidFileException(path, "damaged gzip header: " + e.getMessage(), e);
    } catch (IOException e) {
      file.close();
      throw e;
    }
  }

  /** Bytes of content handed out or skipped so far. */
  long position() {
    return position;
  }

  boolean compressed() {
    return compressed;
  }

  /** Size of the file as it lies on the disk. */
  long fileBytes() {
    return fileBytes;
  }

  /** More content than this the file cannot have. */
  long largestContentBytes() {
    return compressed ? Math.multiplyExact(fileBytes, LARGEST_RATIO) : fileBytes;
  }

  /**
   * Fills the start of an array from the content.
   *
   * @return how many bytes were read: less than {@code count} only if the content ends
   * @throws InvalidFileException if the gzip stream is damaged or cut off
   */
  int fill(byte[] into, int count) throws IOException {
    int filled = 0;
    try {
      int read = 0;
      while (filled < count && read >= 0) {
        read = in.read(into, filled, count - filled);
        filled += Math.max(read, 0);
      }
    } catch (ZipException | EOFException e) {
      throw damaged(filled, e);
    }
    position += filled;
    return filled;
  }

  /** As many bytes as are there, up to {@code count}; memory grows with what really comes. */
  byte[] read(int count) throws IOException {
    try {
      byte[] bytes = in.readNBytes(count);
      position += bytes.length;
      return bytes;
    } catch (ZipException | EOFException e) {
      throw damaged(0, e);
    }
  }

  /** Goes on to a position of the content, or to its end if that comes first. */
  void skipTo(long target) throws IOException {
    byte[] unwanted = new byte[DRAIN_BYTES];
    while (position < target) {
      int count = (int) Math.min(unwanted.length, target - position);
      if (fill(unwanted, count) < count) {
        return;
      }
    }
  }

  /**
   * Reads gzip content to its end, which is where its checksum is.
   *
   * @throws InvalidFileException if the checksum does not match the content
   */
  void verifyChecksum() throws IOException {
    if (compressed) {
      skipTo(Long.MAX_VALUE);
    }
  }

  @Override
  public void close() throws IOException {
    in.close();
  }

  private InvalidFileException damaged(int alreadyRead, IOException cause) {
    return new InvalidFileException(
        path,
        "gzip stream damaged or cut off after %d bytes of content: %s"
            .formatted(position + alreadyRead, cause.getMessage()),
        cause);
  }
}
