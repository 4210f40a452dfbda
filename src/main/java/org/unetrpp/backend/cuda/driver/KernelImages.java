package org.unetrpp.backend.cuda.driver;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * Images of kernel files for one device: that which the build made, else, where there is none or
 * the driver refuses it, one compiled on this machine from the source and kept for the next start.
 */
final class KernelImages {
  private static final int HASH_BYTES = 16;

  /** The folder {@code kernels} of the class path. */
  interface Files {
    /** All of a file; none if it is not there. */
    Optional<byte[]> read(String name);
  }

  /** Gives an image to the driver. */
  interface Loader<M> {
    M load(byte[] image) throws ImageRefusedException;
  }

  private final Files files;
  private final ImageCache cache;
  private final Supplier<KernelCompiler> compiler;

  /**
   * Images.
   *
   * @param compiler for the device; throws {@link CudaException} where there is none
   */
  KernelImages(Files files, ImageCache cache, Supplier<KernelCompiler> compiler) {
    this.files = files;
    this.cache = cache;
    this.compiler = compiler;
  }

  /** The files that travel with this program. */
  static Optional<byte[]> onClassPath(String name) {
    try (InputStream in =
        KernelImages.class.getClassLoader().getResourceAsStream("kernels/" + name)) {
      return in == null ? Optional.empty() : Optional.of(in.readAllBytes());
    } catch (IOException e) {
      throw new UncheckedIOException("kernels/%s cannot be read".formatted(name), e);
    }
  }

  /**
   * The first image that the driver takes.
   *
   * @param file name of a kernel file without its ending
   * @throws CudaException if there is none; the message says what was tried
   */
  <M> M load(String file, Loader<M> loader) {
    List<String> refusals = new ArrayList<>();
    Optional<byte[]> built = files.read(file + ".fatbin");
    if (built.isPresent()) {
      try {
        return loader.load(built.get());
      } catch (ImageRefusedException e) {
        refusals.add("the image in the jar: " + e.getMessage());
      }
    }
    Optional<KernelSource> source = KernelSource.read(files, file);
    if (source.isEmpty()) {
      refusals.add("its source is not on the class path");
      throw unusable(file, refusals);
    }
    try {
      return compiled(source.get(), compiler.get(), loader);
    } catch (CudaException e) {
      refusals.add("compiling it here: " + e.getMessage());
    } catch (ImageRefusedException e) {
      refusals.add("compiled here: " + e.getMessage());
    }
    throw unusable(file, refusals);
  }

  /**
   * Something that differs where a kernel file does, or a header of it.
   *
   * @throws CudaException if there is no such file
   */
  String sourceKey(String file) {
    KernelSource source =
        KernelSource.read(files, file)
            .orElseThrow(
                () -> new CudaException("kernels/%s.cu is not on the class path".formatted(file)));
    return key(source, "");
  }

  private <M> M compiled(KernelSource source, KernelCompiler compiler, Loader<M> loader)
      throws ImageRefusedException {
    String name = "%s-%s.bin".formatted(source.name(), key(source, compiler.identity()));
    Optional<byte[]> kept = cache.read(name);
    if (kept.isPresent()) {
      try {
        return loader.load(kept.get());
      } catch (ImageRefusedException e) {
        // A kept image that was good for another driver is made again.
      }
    }
    byte[] fresh = compiler.compile(source);
    M loaded = loader.load(fresh);
    cache.write(name, fresh);
    return loaded;
  }

  /** Of everything that an image depends on; no two lists of texts give the same bytes. */
  static String key(KernelSource source, String compiler) {
    MessageDigest digest = ImageCache.sha256();
    List<String> texts = new ArrayList<>(List.of(compiler, source.name(), source.text()));
    for (Map.Entry<String, String> header : source.headers().entrySet()) {
      texts.add(header.getKey());
      texts.add(header.getValue());
    }
    for (String text : texts) {
      byte[] bytes = text.getBytes(UTF_8);
      digest.update(ByteBuffer.allocate(Integer.BYTES).putInt(0, bytes.length));
      digest.update(bytes);
    }
    return HexFormat.of().formatHex(digest.digest(), 0, HASH_BYTES);
  }

  private static CudaException unusable(String file, List<String> refusals) {
    return new CudaException(
        "no image of kernels/%s can be used on this device: %s"
            .formatted(file, String.join("; ", refusals)));
  }
}
