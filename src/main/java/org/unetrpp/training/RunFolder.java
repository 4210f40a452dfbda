package org.unetrpp.training;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.unetrpp.files.InvalidFileException;

/** The folder of one run, kept from other processes while it is open. */
public final class RunFolder implements AutoCloseable {
  private static final String LOCK = ".lock";

  /** Name of {@link #lastCheckpoint}. */
  public static final String LAST_CHECKPOINT = "checkpoint_last.safetensors";

  /** Name of {@link #model}. */
  public static final String MODEL = "model.safetensors";

  /** Name of {@link #bestModel}. */
  public static final String BEST_MODEL = "model_best.safetensors";

  /** Name of {@link #plan}. */
  public static final String PLAN = "plan.json";

  private static final String BEST = "checkpoint_best.safetensors";
  private static final String UNFINISHED = ".*.part";

  private final Path path;
  private final FileChannel channel;

  private RunFolder(Path path, FileChannel channel) {
    this.path = path;
    this.channel = channel;
  }

  /** Whether a folder holds a run that was begun; it need not exist. */
  public static boolean hasRun(Path path) {
    return Stream.of(LAST_CHECKPOINT, BEST, MODEL)
        .anyMatch(name -> Files.exists(path.resolve(name)));
  }

  /**
   * Opens a folder, made where it is missing, and removes files that a killed process left
   * half-written.
   *
   * @throws IOException if another process has it open, or it cannot be written to
   */
  @MustBeClosed
  public static RunFolder open(Path path) throws IOException {
    Files.createDirectories(path);
    FileChannel channel =
        FileChannel.open(path.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    try {
      if (lock(channel) == null) {
        throw new IOException(path + ": another process trains into this folder");
      }
      removeUnfinished(path);
      return new RunFolder(path, channel);
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  /** The lock goes when its channel is closed, by the process or by its end. */
  private static @Nullable FileLock lock(FileChannel channel) throws IOException {
    try {
      return channel.tryLock();
    } catch (OverlappingFileLockException e) { // this process has it
      return null;
    }
  }

  private static void removeUnfinished(Path path) throws IOException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(path, UNFINISHED)) {
      for (Path file : files) {
        Files.delete(file);
      }
    }
  }

  /** The folder itself. */
  public Path path() {
    return path;
  }

  /** Copy of the plan. */
  public Path plan() {
    return path.resolve(PLAN);
  }

  /** Where the run stands. */
  public Path lastCheckpoint() {
    return path.resolve(LAST_CHECKPOINT);
  }

  /** Where the run stood after its best epoch. */
  public Path bestCheckpoint() {
    return path.resolve(BEST);
  }

  /** The network after the last epoch. */
  public Path model() {
    return path.resolve(MODEL);
  }

  /** The network after the best epoch. */
  public Path bestModel() {
    return path.resolve(BEST_MODEL);
  }

  /** Losses and Dice, a line an epoch. */
  public Path log() {
    return path.resolve("log.csv");
  }

  /** What took how long. */
  public Path timings() {
    return path.resolve("timings.csv");
  }

  /** Losses and Dice as curves. */
  public Path curve() {
    return path.resolve("curve.png");
  }

  /**
   * Reads the checkpoint to go on from.
   *
   * @throws InvalidFileException if there is none, it is damaged, or of another plan or fold
   */
  public Checkpoint readLast(String planHash, String fold) throws IOException {
    Path last = lastCheckpoint();
    Checkpoint checkpoint;
    try {
      checkpoint = Checkpoint.read(last);
    } catch (NoSuchFileException e) {
      throw new InvalidFileException(last, "no such file" + wayOut(), e);
    } catch (InvalidFileException e) {
      throw new InvalidFileException(last, problem(e) + wayOut(), e);
    }
    checkpoint.requireOf(planHash, fold, last);
    return checkpoint;
  }

  private String problem(InvalidFileException exception) {
    return String.valueOf(exception.getMessage()).substring((lastCheckpoint() + ": ").length());
  }

  private String wayOut() {
    return Files.exists(bestCheckpoint())
        ? "; copy %s over it to go on from the best epoch".formatted(BEST)
        : "";
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
