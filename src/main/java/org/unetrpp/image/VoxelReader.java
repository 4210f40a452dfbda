package org.unetrpp.image;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Path;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.unetrpp.files.InvalidFileException;

/**
 * Reads the stored numbers of a file in its order, as doubles before scaling. A thread of its own
 * reads and inflates the next block while the caller converts the one before.
 */
final class VoxelReader {
  /** A multiple of the bytes of a tile of any type. */
  private static final int BLOCK_BYTES = 1 << 20;

  private final Path path;
  private final NiftiHeader header;

  /**
   * @param path the file that holds the voxels
   */
  VoxelReader(Path path, NiftiHeader header) {
    this.path = path;
    this.header = header;
  }

  /** Takes numbers, at most {@link ScalarDecoder#TILE} at a time. */
  @FunctionalInterface
  interface Sink {
    /**
     * Takes one tile.
     *
     * @param values overwritten after the call
     * @param count how many of them are there
     */
    void accept(double[] values, int count);
  }

  /**
   * Compares what the header promises with the size of the file, without reading voxels.
   *
   * @throws InvalidFileException if the file cannot hold the voxels
   */
  void requireRoom() throws IOException {
    try (ContentStream content = ContentStream.open(path)) {
      requireRoom(content);
    }
  }

  /**
   * Hands all numbers to a sink, real and imaginary parts and colors one after the other.
   *
   * @throws InvalidFileException if the file ends too soon or its gzip stream is damaged
   */
  void forEachTile(Sink sink) throws IOException {
    Scalar scalar = header.voxelType().component();
    ScalarDecoder decoder = new ScalarDecoder(scalar, header.byteOrder());
    double[] values = new double[ScalarDecoder.TILE];
    int tileBytes = ScalarDecoder.TILE * scalar.bytes();
    forEachBlock(block -> {
      for (int start = 0; start < block.length; start += tileBytes) {
        int count = Math.min(tileBytes, block.length - start) / scalar.bytes();
        decoder.decode(block.bytes, start, count, values);
        sink.accept(values, count);
      }
    });
  }

  /** Opens the file at its first voxel. */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with the stream that is returned
  VoxelStream stream() throws IOException {
    ContentStream content = ContentStream.open(path);
    try {
      content.skipTo(header.voxelOffset());
      return new VoxelStream(path, header, content);
    } catch (IOException e) {
      content.close();
      throw e;
    }
  }

  /**
   * Reads all voxels and keeps nothing.
   *
   * @throws InvalidFileException if the file ends too soon or its gzip stream is damaged
   */
  void check() throws IOException {
    forEachBlock(_ -> {});
  }

  /** Stored bytes; two take turns, one being read while the other is converted. */
  private static final class Block {
    private final byte[] bytes;
    private int length;

    Block(int capacity) {
      bytes = new byte[capacity];
    }
  }

  @FunctionalInterface
  private interface BlockSink {
    void accept(Block block);
  }

  private void forEachBlock(BlockSink sink) throws IOException {
    ExecutorService reader =
        Executors.newSingleThreadExecutor(
            Thread.ofPlatform().daemon().name("nifti-reader").factory());
    try (ContentStream content = ContentStream.open(path)) {
      requireRoom(content);
      content.skipTo(header.voxelOffset());
      long left = header.voxelBytes();
      int capacity = (int) Math.min(BLOCK_BYTES, left);
      Block converted = new Block(capacity);
      Future<Block> next = submit(reader, content, new Block(capacity), left);
      while (left > 0) {
        Block block = await(next);
        left -= block.length;
        if (left > 0) {
          next = submit(reader, content, converted, left);
        }
        sink.accept(block);
        converted = block;
      }
      content.verifyChecksum();
    } finally {
      reader.shutdownNow();
    }
  }

  private Future<Block> submit(
      ExecutorService reader, ContentStream content, Block block, long left) {
    return reader.submit(() -> {
      block.length = (int) Math.min(block.bytes.length, left);
      if (content.fill(block.bytes, block.length) < block.length) {
        throw endsTooSoon(content);
      }
      return block;
    });
  }

  private InvalidFileException endsTooSoon(ContentStream content) {
    return new InvalidFileException(
        path,
        "ends at byte %d%s, expected voxels up to byte %d"
            .formatted(
                content.position(),
                content.compressed() ? " of its content" : "",
                header.voxelOffset() + header.voxelBytes()));
  }

  private static Block await(Future<Block> block) throws IOException {
    try {
      if (Thread.interrupted()) { // which a block that is there already would not tell
        throw new InterruptedException();
      }
      return block.get();
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("reading was interrupted");
    } catch (ExecutionException e) {
      if (e.getCause() instanceof IOException cause) {
        throw cause;
      }
      throw new IllegalStateException("reading failed", e.getCause());
    }
  }

  private void requireRoom(ContentStream content) throws InvalidFileException {
    long largest = content.largestContentBytes();
    if (header.voxelOffset() > largest || header.voxelBytes() > largest - header.voxelOffset()) {
      throw new InvalidFileException(
          path,
          "the header promises %d bytes of voxels from byte %d on, more than a%s file of %d bytes"
                  .formatted(
                      header.voxelBytes(),
                      header.voxelOffset(),
                      content.compressed() ? " gzip" : "",
                      content.fileBytes())
              + " can hold");
    }
  }
}
