package org.unetrpp.image;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.zip.CRC32;
import java.util.zip.Deflater;

/**
 * Compresses to one gzip member (RFC 1952) with several threads: blocks of fixed size are deflated
 * independently of each other and end on byte borders, so that their bytes stand one after the
 * other. The result does not depend on the number of threads.
 *
 * <p>{@link #finish} completes the member; {@link #close} frees the threads and leaves the stream
 * below open.
 */
final class ParallelGzip extends OutputStream {
  private static final int BLOCK_BYTES = 1 << 19;

  /** More than a block that cannot be compressed becomes; room for all makes one call do. */
  private static final int LARGEST_DEFLATED_BYTES = BLOCK_BYTES + BLOCK_BYTES / 16;

  /** Magic, deflate, no flags, no time, the fastest compression, unknown system. */
  private static final byte[] HEADER = {0x1f, (byte) 0x8b, 8, 0, 0, 0, 0, 0, 4, (byte) 0xff};

  /** An empty last block with fixed codes: ends the deflate stream. */
  private static final byte[] LAST_BLOCK = {3, 0};

  private final OutputStream out;
  private final ExecutorService workers;
  private final int blocksInFlight;
  private final Queue<Future<Block>> deflating = new ArrayDeque<>();
  private final CRC32 checksum = new CRC32();
  private Block block = new Block();
  private long written;

  /**
   * @param out takes the compressed bytes
   * @param threads how many compress
   */
  @MustBeClosed
  ParallelGzip(OutputStream out, int threads) throws IOException {
    out.write(HEADER);
    this.out = out;
    this.workers =
        Executors.newFixedThreadPool(
            threads, Thread.ofPlatform().daemon().name("gzip-", 0).factory());
    this.blocksInFlight = 2 * threads;
  }

  @Override
  public void write(int value) throws IOException {
    write(new byte[] {(byte) value}, 0, 1);
  }

  @Override
  public void write(byte[] bytes, int offset, int count) throws IOException {
    Objects.checkFromIndexSize(offset, count, bytes.length);
    checksum.update(bytes, offset, count);
    written += count;
    int done = 0;
    while (done < count) {
      done += block.take(bytes, offset + done, count - done);
      if (block.isFull()) {
        submitBlock();
      }
    }
  }

  /** Writes what is left and the trailer. Nothing may be written after it. */
  void finish() throws IOException {
    if (!block.isEmpty()) {
      submitBlock();
    }
    while (!deflating.isEmpty()) {
      writeOldest();
    }
    out.write(LAST_BLOCK);
    out.write(
        ByteBuffer.allocate(2 * Integer.BYTES)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putInt((int) checksum.getValue())
            .putInt((int) written)
            .array());
  }

  @Override
  public void close() {
    workers.shutdownNow();
  }

  /** Hands the block to the workers and goes on with a written or a new one. */
  private void submitBlock() throws IOException {
    deflating.add(workers.submit(block::deflate));
    block = deflating.size() == blocksInFlight ? writeOldest() : new Block();
  }

  private Block writeOldest() throws IOException {
    try {
      Block oldest = deflating.remove().get();
      oldest.writeTo(out);
      return oldest;
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("writing was interrupted");
    } catch (ExecutionException e) {
      throw new IllegalStateException("compressing failed", e.getCause());
    }
  }

  /** Bytes on their way: filled by the caller, deflated by a worker, written, filled again. */
  private static final class Block {
    private final byte[] input = new byte[BLOCK_BYTES];
    private int inputBytes;
    private final byte[] output = new byte[LARGEST_DEFLATED_BYTES];
    private int outputBytes;

    boolean isEmpty() {
      return inputBytes == 0;
    }

    boolean isFull() {
      return inputBytes == BLOCK_BYTES;
    }

    /** Takes as many bytes as there is room for and returns how many. */
    int take(byte[] bytes, int offset, int count) {
      int part = Math.min(count, BLOCK_BYTES - inputBytes);
      System.arraycopy(bytes, offset, input, inputBytes, part);
      inputBytes += part;
      return part;
    }

    Block deflate() {
      Deflater deflater = new Deflater(Deflater.BEST_SPEED, true);
      try {
        deflater.setInput(input, 0, inputBytes);
        outputBytes = deflater.deflate(output, 0, output.length, Deflater.SYNC_FLUSH);
        if (outputBytes == output.length) {
          throw new IllegalStateException(
              inputBytes + " bytes deflated to " + output.length + " or more");
        }
        return this;
      } finally {
        deflater.end();
      }
    }

    void writeTo(OutputStream out) throws IOException {
      out.write(output, 0, outputBytes);
      inputBytes = 0;
    }
  }
}
