package org.unetrpp.convert;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** Writes small checkpoints around pickles that are spelt out, one character a byte. */
final class TestZip {
  /** A pickle of a dictionary with one float32 tensor "t" of 4 values, storage "0". */
  static final String ONE_TENSOR = tensor(4, 0, 4, 1);

  private final Map<String, byte[]> entries = new LinkedHashMap<>();

  static TestZip of(String pickle) {
    return new TestZip()
        .with("x/data.pkl", bytes(pickle))
        .with("x/data/0", new byte[16])
        .with("x/version", bytes("3\n"));
  }

  TestZip with(String name, byte[] content) {
    entries.put(name, content);
    return this;
  }

  static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  /** A pickle of {"t": tensor} with the given numbers, all below 256. */
  static String tensor(int elements, int offset, int extent, int stride) {
    return "\u0080\u0002}X\u0001\0\0\0tctorch._utils\n_rebuild_tensor_v2\n((X\u0007\0\0\0storage"
        + "ctorch\nFloatStorage\nX\u0001\0\0\0"
        + "0X\u0003\0\0\0cpuK%ctQK%cK%c\u0085K%c\u0085\u0089ccollections\nOrderedDict\n)RtRs."
            .formatted((char) elements, (char) offset, (char) extent, (char) stride);
  }

  Path stored(Path path) throws IOException {
    try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(path))) {
      ZipWriter zip = new ZipWriter(out);
      for (Map.Entry<String, byte[]> entry : entries.entrySet()) {
        byte[] content = entry.getValue();
        zip.add(entry.getKey(), content.length, sink -> sink.write(content));
      }
      zip.finish();
    }
    return path;
  }

  Path deflated(Path path) throws IOException {
    try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(path))) {
      for (Map.Entry<String, byte[]> entry : entries.entrySet()) {
        zip.putNextEntry(new ZipEntry(entry.getKey()));
        zip.write(entry.getValue());
        zip.closeEntry();
      }
    }
    return path;
  }
}
