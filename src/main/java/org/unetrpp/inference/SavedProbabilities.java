package org.unetrpp.inference;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Nifti;
import org.unetrpp.image.NiftiFile;
import org.unetrpp.image.NiftiHeader;
import org.unetrpp.image.VoxelStream;
import org.unetrpp.weights.NumpyFile;

/// The probabilities of a case that a run saved, read piece by piece: class after class, each (D,
/// H, W) of the image. For one thread at a time.
///
/// | file | holds |
/// | --- | --- |
/// | `CASE_prob.nii.gz` | a volume for each class, in the space of the image; read as it is needed |
/// | `CASE.npz` | as published, an array `softmax` (K, D, H, W), float16, of the image without what was cropped; read as a whole. The space is that of the labels beside it, `CASE.nii.gz`, which must be of its extents |
public final class SavedProbabilities implements AutoCloseable {
  private static final String ARRAY = "softmax.npy";
  private static final String NUMPY = ".npz";

  private final Path path;
  private final NiftiHeader header;
  private final int classes;
  private final Source source;

  private SavedProbabilities(Path path, NiftiHeader header, int classes, Source source) {
    this.path = path;
    this.header = header;
    this.classes = classes;
    this.source = source;
  }

  /** Where values come from. */
  private interface Source {
    void read(float[] target, int count) throws IOException;

    void close() throws IOException;
  }

  /** Values of a stream. */
  private record Streamed(VoxelStream stream) implements Source {
    @Override
    public void read(float[] target, int count) throws IOException {
      stream.read(target, count);
    }

    @Override
    public void close() throws IOException {
      stream.close();
    }
  }

  /** Values in memory. */
  private static final class Held implements Source {
    private final float[] values;
    private int next;

    Held(float[] values) {
      this.values = values;
    }

    @Override
    public void read(float[] target, int count) {
      System.arraycopy(values, next, target, 0, count);
      next += count;
    }

    @Override
    public void close() {}
  }

  /** Whether a file's name is that of published probabilities. */
  public static boolean isNumpy(Path path) {
    return path.toString().endsWith(NUMPY);
  }

  /**
   * Opens a file.
   *
   * @throws InvalidFileException if it holds no probabilities of two classes or more, or what was
   *     cropped is missing
   */
  @MustBeClosed
  public static SavedProbabilities open(Path path) throws IOException {
    return isNumpy(path) ? openNumpy(path) : openNifti(path);
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with the object that is returned
  private static SavedProbabilities openNifti(Path path) throws IOException {
    NiftiFile file = Nifti.open(path);
    int classes = requireClasses(path, file.header().volumeCount());
    return new SavedProbabilities(path, file.header(), classes, new Streamed(file.stream()));
  }

  @MustBeClosed
  private static SavedProbabilities openNumpy(Path path) throws IOException {
    String name = String.valueOf(path.getFileName());
    String caseName = name.substring(0, name.length() - NUMPY.length());
    Path labels = path.resolveSibling(caseName + ".nii.gz");
    NiftiHeader header = Nifti.readHeader(labels);
    NumpyFile.Array softmax = softmax(path);
    Extents extents = header.geometry().extents();
    List<Integer> shape = softmax.shape();
    if (shape.size() != 4
        || !shape
            .subList(1, 4)
            .equals(List.of(extents.depth(), extents.height(), extents.width()))) {
      throw new InvalidFileException(
          path,
          ("softmax of shape %s, expected (classes, %d, %d, %d) as %s has voxels; of cropped images "
                  + "segment again with --save-probabilities")
              .formatted(shape, extents.depth(), extents.height(), extents.width(), labels));
    }
    int classes = requireClasses(path, shape.getFirst());
    return new SavedProbabilities(path, header, classes, new Held(softmax.values()));
  }

  /** Unpacks the array beside nothing else, to read it as the file that it is. */
  private static NumpyFile.Array softmax(Path path) throws IOException {
    Path unpacked = Files.createTempFile("unetrpp", ".npy");
    try (ZipFile zip = new ZipFile(path.toFile())) {
      ZipEntry entry = zip.getEntry(ARRAY);
      if (entry == null) {
        throw new InvalidFileException(path, "holds no array named softmax");
      }
      try (InputStream in = zip.getInputStream(entry)) {
        Files.copy(in, unpacked, StandardCopyOption.REPLACE_EXISTING);
      }
      return NumpyFile.read(unpacked);
    } catch (ZipException e) {
      throw new InvalidFileException(path, "no .npz file: " + e.getMessage(), e);
    } finally {
      Files.delete(unpacked);
    }
  }

  private static int requireClasses(Path path, long count) throws InvalidFileException {
    if (count < 2 || count > 256) {
      throw new InvalidFileException(
          path, "%d volumes, expected one for each of 2 to 256 classes".formatted(count));
    }
    return (int) count;
  }

  /** The file. */
  public Path path() {
    return path;
  }

  /** Of an image in the same space. */
  public NiftiHeader header() {
    return header;
  }

  /** How many classes there are, background first. */
  public int classes() {
    return classes;
  }

  /** Reads the next values into the start of an array. */
  void read(float[] target, int count) throws IOException {
    source.read(target, count);
  }

  @Override
  public void close() throws IOException {
    source.close();
  }
}
