package org.unetrpp.image;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.ByteArrayOutputStream;
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
  private static final int BLOCK_BYTES = 1 << 20;

  /** Magic, deflate, no flags, no time, the fastest compression, unknown system. */
  private static final byte[] HEADER = {0x1f, (byte) 0x8b, 8, 0, 0, 0, 0, 0, 4, (byte) 0xff};

  /** An empty last block with fixed codes: ends the deflate stream. */
  private static final byte[] LAST_BLOCK = {3, 0};

  private final OutputStream out;
  private final ExecutorService workers;
  private final int blocksInFlight;
  private final Queue<Future<byte[]>> deflating = new ArrayDeque<>();
  private final CRC32 checksum = new CRC32();
  private byte[] block = new byte[BLOCK_BYTES];
  private int filled;
  private long written;

  /**
   * @param out takes the compressed bytes
   * @param threads how many compress
   */
  @MustBeClosed
  ParallelGzip(OutputStream out, int threads) throws IOException {
    this.out = out;
    this.workers =
        Executors.newFixedThreadPool(
            threads, Thread.ofPlatform().daemon().name("gzip-", 0).factory());
    this.blocksInFlight = 2 * threads;
    out.write(HEADER);
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
      int part = Math.min(count - done, BLOCK_BYTES - filled);
      System.arraycopy(bytes, offset + done, block, filled, part);
      filled += part;
      done += part;
      if (filled == BLOCK_BYTES) {
        submitBlock();
      }
    }
  }

  /** Writes what is left and the trailer. Nothing may be written after it. */
  void finish() throws IOException {
    if (filled > 0) {
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

  private void submitBlock() throws IOException {
    if (deflating.size() == blocksInFlight) {
      writeOldest();
    }
    byte[] input = block;
    int count = filled;
    deflating.add(workers.submit(() -> deflate(input, count)));
    block = new byte[BLOCK_BYTES];
    filled = 0;
  }

  private void writeOldest() throws IOException {
    try {
      out.write(deflating.remove().get());
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("writing was interrupted");
    } catch (ExecutionException e) {
      throw new IllegalStateException("compressing failed", e.getCause());
    }
  }

  private static byte[] deflate(byte[] input, int count) {
    Deflater deflater = new Deflater(Deflater.BEST_SPEED, true);
    try {
      deflater.setInput(input, 0, count);
      ByteArrayOutputStream result = new ByteArrayOutputStream(count / 2);
      byte[] chunk = new byte[1 << 16];
      int size;
      do { // a call that leaves room in the chunk has flushed everything
        size = deflater.deflate(chunk, 0, chunk.length, Deflater.SYNC_FLUSH);
        result.write(chunk, 0, size);
      } while (size == chunk.length);
      return result.toByteArray();
    } finally {
      deflater.end();
    }
  }
}
