package org.unetrpp.convert;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.weights.TensorFile;
import org.unetrpp.weights.TensorFiles;
import org.unetrpp.weights.TensorFormat;

/** Checkpoints of PyTorch as a service. */
public final class PyTorchFormat implements TensorFormat {
  private static final int TAR_MARK = 257;
  private static final byte[] TAR = "ustar".getBytes(StandardCharsets.US_ASCII);
  private static final int PICKLE_MARK = 0x80;
  private static final int MAX_PROTOCOL = 5;

  @Override
  public boolean recognizes(Path path) throws IOException {
    byte[] start = TensorFiles.firstBytes(path, TAR_MARK + TAR.length);
    return ZipArchive.isZip(start) || isPickle(start) || isTar(start);
  }

  @Override
  @MustBeClosed
  public TensorFile open(Path path) throws IOException {
    if (isTar(TensorFiles.firstBytes(path, TAR_MARK + TAR.length))) {
      throw new InvalidFileException(
          path, "a tar archive: checkpoints of PyTorch before 0.2 are not supported");
    }
    return PyTorchFile.open(path);
  }

  /** A pickle of protocol 2 or later, as all checkpoints outside of a zip begin. */
  private static boolean isPickle(byte[] start) {
    return start.length > 2
        && Byte.toUnsignedInt(start[0]) == PICKLE_MARK
        && start[1] >= 0
        && start[1] <= MAX_PROTOCOL
        && start[2] != 0; // which a length of safetensors may be, and no instruction is
  }

  private static boolean isTar(byte[] start) {
    return start.length == TAR_MARK + TAR.length
        && Arrays.equals(start, TAR_MARK, start.length, TAR, 0, TAR.length);
  }
}
