package org.unetrpp.image;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import org.unetrpp.files.InvalidFileException;

/** Reads the header at the start of a file. */
final class HeaderReader {
  /** No extension known comes near this. */
  private static final int LARGEST_EXTENSIONS_BYTES = 1 << 28;

  private static final int MAGIC_BYTES = 3;

  private HeaderReader() {}

  /**
   * @throws InvalidFileException if this is no header of the NIfTI family, or a field of it is not
   *     what it should be
   */
  static NiftiHeader read(Path path) throws IOException {
    try (ContentStream content = ContentStream.open(path)) {
      byte[] start = content.read(HeaderFormat.NIFTI_1.bytes());
      HeaderBytes bytes = recognize(path, start, content);
      return new NiftiHeader(path, bytes, readExtensions(path, bytes, content));
    }
  }

  private static HeaderBytes recognize(Path path, byte[] start, ContentStream content)
      throws IOException {
    if (start.length < Integer.BYTES) {
      throw tooShort(path, start.length, HeaderFormat.NIFTI_1);
    }
    int size = ByteBuffer.wrap(start).order(ByteOrder.LITTLE_ENDIAN).getInt();
    int swapped = Integer.reverseBytes(size);
    if (size == HeaderFormat.NIFTI_2.bytes() || swapped == HeaderFormat.NIFTI_2.bytes()) {
      byte[] rest = content.read(HeaderFormat.NIFTI_2.bytes() - start.length);
      byte[] whole = Arrays.copyOf(start, start.length + rest.length);
      System.arraycopy(rest, 0, whole, start.length, rest.length);
      return checked(path, HeaderFormat.NIFTI_2, orderOf(size, HeaderFormat.NIFTI_2), whole);
    }
    if (size == HeaderFormat.NIFTI_1.bytes() || swapped == HeaderFormat.NIFTI_1.bytes()) {
      return checked(path, HeaderFormat.NIFTI_1, orderOf(size, HeaderFormat.NIFTI_1), start);
    }
    throw new InvalidFileException(
        path,
        "not a NIfTI file: sizeof_hdr at byte 0 is %d, expected %d or %d"
            .formatted(size, HeaderFormat.NIFTI_1.bytes(), HeaderFormat.NIFTI_2.bytes()));
  }

  private static ByteOrder orderOf(int sizeReadAsLittle, HeaderFormat format) {
    return sizeReadAsLittle == format.bytes() ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN;
  }

  private static HeaderBytes checked(Path path, HeaderFormat format, ByteOrder order, byte[] header)
      throws InvalidFileException {
    if (header.length < format.bytes()) {
      throw tooShort(path, header.length, format);
    }
    HeaderBytes bytes = new HeaderBytes(format, order, header);
    if (NiftiMagic.of(bytes) != null) {
      return bytes;
    }
    if (format == HeaderFormat.NIFTI_1 && ImagePair.isPairName(path)) {
      return new HeaderBytes(HeaderFormat.ANALYZE, order, header);
    }
    int offset = HeaderField.MAGIC.offset(format, 0);
    String found = new String(header, offset, MAGIC_BYTES, StandardCharsets.ISO_8859_1);
    throw new InvalidFileException(
        path,
        "not a NIfTI file: magic at byte %d is \"%s\", expected \"%s\" or \"%s\""
            .formatted(
                offset,
                printable(found),
                NiftiMagic.SINGLE_FILE.text(format),
                NiftiMagic.PAIR.text(format)));
  }

  private static String printable(String text) {
    return text.replaceAll("[^ -~]", ".");
  }

  private static InvalidFileException tooShort(Path path, int bytes, HeaderFormat format) {
    return new InvalidFileException(
        path, "ends after %d bytes, expected a header of %d".formatted(bytes, format.bytes()));
  }

  /**
   * What follows the extender if it says that extensions do; the header's part of the file only.
   */
  private static byte[] readExtensions(Path path, HeaderBytes bytes, ContentStream content)
      throws IOException {
    NiftiMagic magic = NiftiMagic.of(bytes);
    byte[] extender = magic == null ? new byte[0] : content.read(NiftiHeader.EXTENDER_BYTES);
    if (extender.length < NiftiHeader.EXTENDER_BYTES || extender[0] == 0) {
      return new byte[0];
    }
    long room = LARGEST_EXTENSIONS_BYTES;
    if (magic == NiftiMagic.SINGLE_FILE) {
      room = bytes.whole(HeaderField.VOX_OFFSET) - content.position();
    }
    if (room > LARGEST_EXTENSIONS_BYTES) {
      throw new InvalidFileException(
          path,
          "%s leaves %d bytes for extensions, expected at most %d"
              .formatted(bytes.locate(HeaderField.VOX_OFFSET), room, LARGEST_EXTENSIONS_BYTES));
    }
    return content.read((int) Math.max(room, 0));
  }
}
